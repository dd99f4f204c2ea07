// Before the first paint: light or dark, as chosen here last or as the system has it. Not a module, so that it blocks.
(() => {
  let scheme = null;
  try {
    scheme = localStorage.getItem("berth-color-scheme");
  } catch {
    // Storage may be forbidden; then the system decides.
  }
  if (scheme !== "light" && scheme !== "dark")
    scheme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  document.documentElement.setAttribute("data-mantine-color-scheme", scheme);
})();
