// Stock sliders have no accessible name: give every handle the text of its row's label.
function render({ model, el }) {
  el.style.display = "none";
  let root = null;
  let observer = null;

  const label = () => {
    for (const row of root.querySelectorAll(".widget-inline-hbox")) {
      const text = row.querySelector(".widget-label")?.textContent?.trim();
      if (!text) continue;
      const handle = row.querySelector(".noUi-handle");
      if (handle && handle.getAttribute("aria-label") !== text) {
        handle.setAttribute("aria-label", text);
      }
      const readout = row.querySelector(".widget-readout[contenteditable]");
      const value = `${text}, value`;
      if (readout && readout.getAttribute("aria-label") !== value) {
        readout.setAttribute("role", "textbox");
        readout.setAttribute("aria-label", value);
      }
    }
  };
  const attach = () => {
    root = el.closest("." + model.get("root_class"));
    if (!root) {
      // Not in the document yet.
      frame = requestAnimationFrame(attach);
      return;
    }
    label();
    observer = new MutationObserver(label);
    observer.observe(root, { childList: true, subtree: true });
  };
  let frame = requestAnimationFrame(attach);
  return () => {
    cancelAnimationFrame(frame);
    observer?.disconnect();
  };
}

export default { render };
