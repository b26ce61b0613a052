// Comfort only: the pages work without it.
"use strict";
const form = document.querySelector("form.filters");
if (form) {
  // A link that is shared should hold what was asked, not every empty field.
  form.addEventListener("submit", () => {
    for (const field of form.elements) if (field.name && field.value === "") field.disabled = true;
  });
  // Back from the next page the browser keeps the fields as they were: free again.
  addEventListener("pageshow", () => {
    for (const field of form.elements) field.disabled = false;
  });
  // "/" leads to the search field, as elsewhere.
  addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.closest("input, select, textarea")) {
      event.preventDefault();
      form.elements.q.focus();
    }
  });
}
