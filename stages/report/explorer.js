"use strict";
// Shows one pair large; all that it shows is taken from the grids of the page, which are there without it.
(() => {
  const explorer = document.querySelector(".explorer");
  if (!explorer) return;
  const boards = [...document.querySelectorAll(".board")];
  const pick = (name) => explorer.querySelector(`select[name=${name}]`);
  const domain = pick("domain"), pair = pick("pair"), method = pick("method");
  const stage = explorer.querySelector(".stage"), slider = stage.querySelector("input");

  function fill(select, entries) {
    const before = select.value;
    select.replaceChildren(...entries.map(([value, text]) => new Option(text, value)));
    if (entries.some(([value]) => value === before)) select.value = before;
  }

  const board = () => boards.find((one) => one.dataset.domain === domain.value);
  const row = () => board().querySelectorAll("li")[Number(pair.value)];

  function fillPairs() {
    const rows = [...board().querySelectorAll("li")];
    fill(pair, rows.map((one, index) => [String(index), `${one.dataset.rule}: ${one.dataset.names}`]));
    fillMethods();
  }

  function fillMethods() {
    const results = [...row().querySelectorAll("[data-role=result]")];
    fill(method, results.map((one) => [one.dataset.method, one.querySelector("img").alt]));
    draw();
  }

  function draw() {
    const results = [...row().querySelectorAll("[data-role=result]")];
    const result = results.find((one) => one.dataset.method === method.value);
    const beside = explorer.querySelector("input[name=beside]:checked").value;
    const other = row().querySelector(`[data-role=${beside}]`);
    const pictures = [other, result].filter(Boolean).map((one) => one.querySelector("img").cloneNode());
    stage.querySelector(".slot").replaceChildren(...pictures);
    stage.querySelector(".right").textContent = other.querySelector("img").alt;
    const scores = result ? [...result.querySelectorAll("small")].map((one) => `${one.title} ${one.lastChild.data.trim()}`) : [];
    explorer.querySelector(".told").textContent = [row().dataset.rule, row().dataset.names, ...scores].join(" · ");
    slide();
  }

  function slide() {
    stage.style.setProperty("--at", `${slider.value}%`);
    slider.setAttribute("aria-valuetext", `${slider.value} % result`);
  }

  function step(by) {
    pair.value = String((Number(pair.value) + by + pair.options.length) % pair.options.length);
    fillMethods();
  }

  fill(domain, boards.map((one) => [one.dataset.domain, one.dataset.domain]));
  domain.addEventListener("change", fillPairs);
  pair.addEventListener("change", fillMethods);
  method.addEventListener("change", draw);
  slider.addEventListener("input", slide);
  explorer.querySelectorAll("input[name=beside]").forEach((one) => one.addEventListener("change", draw));
  explorer.querySelectorAll("button").forEach((one) => one.addEventListener("click", () => step(Number(one.dataset.step))));
  explorer.hidden = false;
  fillPairs();
})();
