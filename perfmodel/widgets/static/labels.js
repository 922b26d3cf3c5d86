// Stock widgets have no accessible names: give each part of a row that of the row's label, and each
// text that stands alone its placeholder.
function render({ model, el }) {
  el.style.display = "none";
  let root = null;
  let observer = null;

  const name = (part, text) => {
    if (part && part.getAttribute("aria-label") !== text) part.setAttribute("aria-label", text);
  };
  const label = () => {
    for (const row of root.querySelectorAll(".perfmodel-row")) {
      const text = row.querySelector(".widget-label")?.textContent?.trim();
      if (!text) continue;
      name(row.querySelector(".noUi-handle"), text);
      name(row.querySelector("input"), `${text}, number`);
      name(row.querySelector("button"), `reset ${text}`);
    }
    for (const text of root.querySelectorAll("textarea, input[placeholder]")) {
      // The labels of a text without a description are there, but empty.
      const labelled = [...(text.labels ?? [])].some(part => part.textContent.trim());
      if (text.placeholder && !labelled) name(text, text.placeholder);
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
