"use strict";
(async () => {
  const form = document.getElementById("wish"), error = document.getElementById("error");
  const button = form.querySelector("[type=submit]"), status = document.getElementById("status");
  const about = await (await fetch("/about.json")).json();

  function complain(text) {
    error.textContent = text;
    error.hidden = !text;
  }

  function make(tag, properties = {}, ...children) {
    const one = Object.assign(document.createElement(tag), properties);
    one.append(...children);
    return one;
  }

  // The picture that a file input holds, in its place, with a button that takes it away.
  function preview(input) {
    const drop = input.closest(".drop"), words = drop.querySelector("span"), file = input.files[0];
    drop.querySelectorAll("img, button").forEach((one) => one.remove());
    words.hidden = Boolean(file);
    if (!file) return;
    if (file.size > about.max_mb * 1e6) {
      complain(`${file.name}: the file is larger than ${about.max_mb} MB; make the picture smaller`);
      input.value = "";
      preview(input);
      return;
    }
    complain("");
    const image = make("img", { src: URL.createObjectURL(file), alt: file.name });
    image.onload = () => URL.revokeObjectURL(image.src);
    image.onerror = () => { image.remove(); words.hidden = false; words.textContent = file.name; };
    const away = make("button", { type: "button", textContent: "Remove" });
    away.onclick = (event) => { event.preventDefault(); input.value = ""; preview(input); };
    drop.append(image, away);
    if (input.name === "pose") form.querySelectorAll("[name=chosen]").forEach((one) => { one.checked = false; });
    if (input.name === "pose") edit("");
  }

  form.querySelectorAll("input[type=file]").forEach((input) => {
    const drop = input.closest(".drop");
    input.addEventListener("change", () => preview(input));
    for (const kind of ["dragenter", "dragover"]) drop.addEventListener(kind, () => drop.classList.add("over"));
    for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
  });

  const sketch = document.getElementById("sketch"), svg = sketch.querySelector("svg"), drawn = form.querySelector("[name=sketch]");

  // The chosen pose, to be changed; it is sent only once it was changed.
  async function edit(value) {
    const places = value ? await (await fetch(`/poses/${value.split("/").map(encodeURIComponent).join("/")}.json`)).json() : [];
    drawn.value = "";
    sketch.hidden = !places.length;
    svg.setAttribute("viewBox", `0 0 ${about.size.join(" ")}`);
    const shape = (tag) => document.createElementNS("http://www.w3.org/2000/svg", tag);
    const put = (one, attributes) => Object.entries(attributes).forEach(([name, text]) => one.setAttribute(name, text));
    const limbs = about.limbs.filter(([a, b]) => places[a] && places[b]).map(([a, b]) => [shape("line"), a, b]);
    const dots = places.map((place) => place && shape("circle"));

    function show() {
      for (const [line, a, b] of limbs) {
        if (!places[a] || !places[b]) line.remove();
        else put(line, { x1: places[a][0], y1: places[a][1], x2: places[b][0], y2: places[b][1] });
      }
      dots.forEach((dot, joint) => { if (places[joint]) put(dot, { cx: places[joint][0], cy: places[joint][1] }); else dot?.remove(); });
    }

    function move(joint, place) {
      places[joint] = place && place.map((at, axis) => Math.min(Math.max(at, 0), about.size[axis] - 1));
      drawn.value = JSON.stringify(places);
      show();
    }

    dots.forEach((dot, joint) => {
      if (!dot) return;
      const name = about.joints[joint].replace("_", " ");
      put(dot, { r: 4, tabindex: 0, role: "button", "aria-label": name, class: name.split(" ")[0] });
      dot.onpointerdown = (event) => dot.setPointerCapture(event.pointerId);
      dot.onpointermove = (event) => {
        if (!dot.hasPointerCapture(event.pointerId)) return;
        const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
        move(joint, [at.x, at.y]);
      };
      dot.onkeydown = (event) => {
        const step = { ArrowLeft: [-2, 0], ArrowRight: [2, 0], ArrowUp: [0, -2], ArrowDown: [0, 2] }[event.key];
        if (!step && event.key !== "Delete") return;
        event.preventDefault();
        move(joint, step ? places[joint].map((at, axis) => at + step[axis]) : null);
      };
    });
    svg.replaceChildren(...limbs.map(([line]) => line), ...dots.filter(Boolean));
    show();
  }

  for (const [domain, row] of about.poses) {
    const value = `${domain}/${row}`;
    const choice = make("input", { type: "radio", name: "chosen", value, ariaLabel: `pose ${row} of ${domain}` });
    choice.addEventListener("change", () => {
      const input = form.querySelector("[name=pose]");
      input.value = "";
      preview(input);
      edit(value);
    });
    const image = make("img", { src: `/poses/${encodeURIComponent(domain)}/${row}.png`, alt: "", loading: "lazy" });
    document.querySelector(".poses").append(make("label", { title: value }, choice, image));
  }
  document.getElementById("catalog").hidden = !about.poses.length;
  // Only some networks can change clothes.
  async function showParts() {
    const { parts = [] } = await (await fetch(`/networks/${network.value}.json`)).json();
    const taken = [...form.querySelectorAll("[name=part]:checked")].map((one) => one.value);
    form.querySelectorAll(".parts label").forEach((one) => one.remove());
    for (const part of parts) {
      const checked = taken.length ? taken.includes(part) : part === "upper_clothes";
      const box = make("input", { type: "checkbox", name: "part", value: part, checked });
      form.querySelector(".parts").append(make("label", {}, box, part.replace("_", " ")));
    }
    document.getElementById("wardrobe").hidden = !parts.length;
    document.getElementById("wardrobe").querySelector("[type=file]").disabled = !parts.length;
  }

  const network = form.querySelector("[name=network]");
  network.append(...about.networks.map((name, number) => new Option(name, String(number))));
  document.getElementById("networks").hidden = about.networks.length < 2;
  network.addEventListener("change", showParts);
  await showParts();

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    complain("");
    button.disabled = true;
    status.textContent = "Drawing ...";
    try {
      const answer = await fetch("/draw", { method: "POST", body: new FormData(form) });
      const told = await answer.json();
      if (told.error) throw new Error(told.error);
      document.getElementById("picture").src = document.getElementById("download").href = told.picture;
      document.getElementById("found").replaceChildren(...told.found.map(({ name, picture }) =>
        make("figure", {}, make("img", { src: picture, alt: "" }), make("figcaption", { textContent: `Found in ${name}` }))));
      document.getElementById("result").hidden = false;
      document.getElementById("result").scrollIntoView({ behavior: "smooth" });
    } catch (wrong) {
      complain(wrong instanceof TypeError ? "the server does not answer; is it still running?" : wrong.message);
    } finally {
      button.disabled = false;
      status.textContent = "";
    }
  });
  document.body.dataset.ready = "yes";
})();
