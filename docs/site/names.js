// The theme gives some elements no name, or no way to reach them by keyboard; it adds them while the page is read.
function name() {
  document.querySelector(".md-search").ariaLabel = "Search";
  document.querySelectorAll(".md-code__nav").forEach((element, number) => (element.ariaLabel = `Code ${number + 1}`));
  document.querySelectorAll(".md-typeset__scrollwrap").forEach((element) => (element.tabIndex = 0));
}

new MutationObserver(name).observe(document.body, { childList: true, subtree: true });
name();
