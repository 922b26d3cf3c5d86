// Carries text to the clipboard and files to the reader's disk, as the kernel asks.
function render({ model, el }) {
  el.style.display = "none";
  const carried = async (message, buffers) => {
    if (message.kind === "copy") {
      try {
        await navigator.clipboard.writeText(message.text);
        model.send({ kind: "copied" });
      } catch (error) {
        model.send({ kind: "failed", what: String(error) });
      }
    } else if (message.kind === "save") {
      const url = URL.createObjectURL(new Blob([buffers[0]], { type: message.type }));
      const link = document.createElement("a");
      link.href = url;
      link.download = message.name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(url), 10000);
    }
  };
  model.on("msg:custom", carried);
  return () => model.off("msg:custom", carried);
}

export default { render };
