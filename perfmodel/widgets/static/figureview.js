// Shows PNG bytes. data-rev changes only once the new picture is decoded and in place, so that whoever
// waits for it (a test, a script) needs no pause.

// The picture in its own address: one that names it by number is read by way of the browser's other processes,
// which takes longer.
function address(png) {
  const bytes = new Uint8Array(png.buffer, png.byteOffset, png.byteLength);
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return `data:image/png;base64,${btoa(text)}`;
}

function render({ model, el }) {
  const img = document.createElement("img");
  img.className = "perfmodel-figure";
  img.style.maxWidth = "100%";
  const spoken = document.createElement("div");
  spoken.setAttribute("role", "status");
  spoken.setAttribute("aria-live", "polite");
  spoken.style.cssText = "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)";
  el.append(img, spoken);
  let timer = 0;

  const draw = async () => {
    const rev = model.get("rev");
    if (!rev) return;
    const next = address(model.get("png"));
    const probe = new Image();
    probe.src = next;
    try {
      await probe.decode();
    } catch {
      return;
    }
    // A newer picture is on its way.
    if (rev !== model.get("rev")) return;
    img.src = next;
    img.width = model.get("width");
    img.alt = model.get("alt");
    // A screen reader hears the end of a drag, not each step of it.
    clearTimeout(timer);
    timer = setTimeout(() => { spoken.textContent = model.get("summary"); }, 500);
    // A picture that the document has already, decoded, is there at once: the next frame shows it.
    img.dataset.rev = String(rev);
  };

  model.on("change:rev", draw);
  draw();
  const ratio = window.devicePixelRatio || 1;
  if (ratio !== model.get("dpr")) {
    model.set("dpr", ratio);
    model.save_changes();
  }
  return () => {
    model.off("change:rev", draw);
    clearTimeout(timer);
  };
}

export default { render };
