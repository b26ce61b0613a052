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
}

// A text in the form that its number asks for, both as the language of the page writes them.
const forms = new Intl.PluralRules(document.documentElement.lang);
const counted = (texts, n) =>
  (texts[forms.select(n)] || texts.other).replace("{n}", n.toLocaleString(document.documentElement.dataset.locale));

// While the filters change: how many customers would pass them. What does not go through says
// nothing, since the list itself will say why.
const passing = form && form.querySelector("output.count");
if (passing) {
  let waiting, asked;
  const ask = async () => {
    asked?.abort();
    asked = new AbortController();
    const filters = new URLSearchParams();
    for (const [name, value] of new FormData(form))
      if (value !== "" && name !== "column" && name !== "sort") filters.append(name, value);
    try {
      const answer = await fetch("/v1/totals?" + filters, { signal: asked.signal });
      passing.textContent = answer.ok ? counted(passing.dataset, (await answer.json()).customers) : "–";
    } catch (error) {
      if (error.name !== "AbortError") passing.textContent = "–";
    }
  };
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(ask, 250);
  });
  // Back from the next page the fields may differ from the list below.
  addEventListener("pageshow", (event) => {
    if (event.persisted) ask();
  });
}

// "/" leads to the search field, as elsewhere.
const search = document.querySelector("form.search input");
addEventListener("keydown", (event) => {
  if (event.key === "/" && search && !event.target.closest("input, select, textarea")) {
    event.preventDefault();
    search.focus();
  }
});

// On a phone the filters stand behind their name.
const drawer = document.querySelector("details.drawer");
if (drawer && matchMedia("(max-width: 760px)").matches) drawer.open = false;

// How many customers of the list are chosen, in the form that the number asks for.
const chosen = document.querySelector("form.chosen");
if (chosen) {
  const button = chosen.querySelector("button");
  const count = () => {
    const n = document.querySelectorAll('input[form="chosen"]:checked').length;
    chosen.querySelector("output").textContent = n ? counted(chosen.dataset, n) : chosen.dataset.none;
    chosen.classList.toggle("some", n > 0);
    button.disabled = n === 0;
  };
  addEventListener("change", count);
  addEventListener("pageshow", count);
  count();
}

// Along the curve of a plan: what a list of so many customers is expected to bring.
const slide = document.querySelector(".slide");
if (slide) {
  const points = JSON.parse(slide.dataset.points);
  const range = slide.querySelector("input");
  const [customers, gain] = slide.querySelectorAll("output");
  const now = document.querySelector(".curve .now");
  const contacts = document.querySelector('#planning [name="contacts"]');
  const show = () => {
    const n = range.valueAsNumber;
    const nearest = points.reduce((a, b) => (Math.abs(b[0] - n) < Math.abs(a[0] - n) ? b : a));
    customers.textContent = n.toLocaleString(document.documentElement.dataset.locale);
    gain.textContent = nearest[1];
    for (const end of ["x1", "x2"]) now.setAttribute(end, (600 * n) / range.max);
  };
  range.addEventListener("input", () => {
    show();
    contacts.value = Math.max(1, Math.round(range.valueAsNumber * Number(slide.dataset.share)));
  });
  show();
  slide.hidden = false;
}

// A form with data-api sends JSON to the API and goes where the answer says; the pages change
// nothing without it.
for (const sending of document.querySelectorAll("form[data-api]")) {
  sending.addEventListener("submit", async (event) => {
    event.preventDefault();
    const problem = sending.querySelector("[role=alert]");
    const button = sending.querySelector("button");
    const body = JSON.parse(sending.dataset.body || "{}");
    for (const field of sending.elements) if (field.name && field.value !== "") body[field.name] = field.value;
    const path = sending.dataset.api;
    button.disabled = true;
    problem.textContent = "";
    try {
      const answer = await fetch(path, {
        method: sending.dataset.method || "POST",
        headers: { "Content-Type": "application/json" },
        body: sending.dataset.method === "DELETE" ? undefined : JSON.stringify(body),
      });
      if (!answer.ok) throw new Error((await answer.json()).detail);
      location.assign(sending.dataset.next || "/plans/" + encodeURIComponent(body.name));
    } catch (error) {
      problem.textContent = error.message;
      button.disabled = false;
    }
  });
}
