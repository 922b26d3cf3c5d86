// The address follows the scenario. A drag writes its end alone: browsers allow about a hundred
// changes of the address in half a minute, and each takes milliseconds.
function render({ model, el }) {
  el.style.display = "none";
  let timer = 0;
  const write = () => {
    const query = model.get("query");
    const next = location.pathname + (query ? `?${query}` : "");
    if (next !== location.pathname + location.search) history.replaceState(null, "", next);
  };
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(write, 150);
  };
  model.on("change:query", later);
  later();
  return () => {
    model.off("change:query", later);
    clearTimeout(timer);
  };
}

export default { render };
