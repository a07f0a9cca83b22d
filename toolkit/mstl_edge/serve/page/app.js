// The page of `mstl-edge serve`: images go to this server alone, and stay in this tab.
import { csv } from "./csv.js";
import { layer } from "./map.js";

const $ = (id) => document.getElementById(id);
const AT_ONCE = 2;
const rows = []; // {name, blob, answers: [record per model], error}
let models = [];
let token = "";

const percent = (share) => `${(100 * share).toFixed(1)} %`;

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

async function ask(address, options = {}) {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  return fetch(address, { ...options, headers });
}

// ---- asking ----------------------------------------------------------------------------------------------------------

const waiting = [];
let asking = 0;

function take(files) {
  for (const file of files) {
    const row = { name: file.name || "image", blob: file, answers: [], error: "" };
    rows.push(row);
    waiting.push(row);
    row.element = make("article", { "aria-label": row.name }, make("h3", {}, row.name), make("p", { class: "soft" }, "waiting…"));
    $("results").append(row.element);
  }
  $("controls").hidden = rows.length === 0;
  next();
}

function next() {
  while (asking < AT_ONCE && waiting.length) {
    asking += 1;
    answer(waiting.shift()).finally(() => {
      asking -= 1;
      next();
    });
  }
  const done = rows.filter((row) => row.answers.length || row.error).length;
  $("status").textContent = rows.length === 0 ? "" : `${done} of ${rows.length} answered`;
}

async function answer(row) {
  const wanted = $("compare").checked ? models.map((_, number) => number) : [0];
  for (const number of wanted) {
    if (row.answers[number]) continue;
    try {
      const record = await send(row, number);
      if (record.error) row.error = record.error;
      else row.answers[number] = record;
    } catch (error) {
      row.error = `no answer from the server (${error.message})`;
    }
    if (row.error) break;
  }
  show(row);
  table();
}

async function send(row, number, explain = models[number].exact_maps) {
  for (;;) {
    const body = new FormData();
    body.append("image", row.blob, row.name);
    const response = await ask(`/v1/predict?model=${number}&explain=${explain}`, { method: "POST", body });
    if (response.status !== 429 && response.status !== 503) return response.json();
    const seconds = Number(response.headers.get("retry-after")) || 1;
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
  }
}

// ---- one image -------------------------------------------------------------------------------------------------------

function show(row) {
  const children = [make("h3", {}, row.name)];
  if (row.error) {
    children.push(make("p", { class: "error" }, row.error));
  } else {
    const canvas = make("canvas", { role: "img" });
    row.canvas = canvas;
    const asked = row.answers[0].map ? null : make("button", { type: "button" }, "Show evidence: covers parts of the image, one after the other");
    asked?.addEventListener("click", async () => {
      asked.disabled = true;
      $("status").textContent = `${row.name}: looking for evidence…`;
      const record = await send(row, 0, true).catch((error) => ({ error: error.message }));
      if (!record.error) row.answers[0] = record;
      show(row);
      next();
    });
    children.push(canvas, make("div", {}, ...row.answers.filter(Boolean).map((record) => told(record, row.answers.indexOf(record))), asked));
  }
  row.element.replaceChildren(...children);
  if (row.canvas) draw(row);
}

function told(record, number) {
  const card = models[number].card;
  const parts = [];
  if (models.length > 1) parts.push(make("p", { class: "soft" }, models[number].file));
  parts.push(make("p", { class: "answer" }, make("b", {}, record.label), ` ${percent(record.probability)}`));
  for (const remark of remarks(record)) parts.push(make("p", { class: "remark" }, remark));
  const bars = [];
  for (const label of card.labels) {
    const share = record.probabilities[label];
    const filled = make("i");
    filled.style.width = `${100 * share}%`;
    const bar = make("div", { class: "bar", "aria-hidden": "true" }, filled);
    if (label === card.positive && card.threshold !== null) {
      const mark = make("u", { title: `threshold ${percent(card.threshold)}` });
      mark.style.left = `${100 * card.threshold}%`;
      bar.append(mark);
    }
    bars.push(make("span", {}, label), bar, make("span", { class: "number" }, percent(share)));
  }
  parts.push(make("div", { class: "bars" }, ...bars));
  const facts = [`${record.milliseconds.toFixed(1)} ms`];
  if (card.threshold !== null && card.positive) facts.push(`threshold of ${card.positive} ${percent(card.threshold)}`);
  if (record.familiarity) facts.push(`distance ${record.familiarity.score.toFixed(2)} of ${record.familiarity.bound.toFixed(2)}`);
  if (record.map_method) facts.push(`evidence by ${record.map_method}`);
  parts.push(make("p", { class: "soft" }, facts.join(" · ")));
  for (const warning of record.warnings || []) parts.push(make("p", { class: "soft" }, `warning: ${warning}`));
  return make("div", { class: "model" }, ...parts);
}

function remarks(record) {
  const found = [];
  if (record.set && record.set.length > 1) found.push(`uncertain: ${record.set.join(" or ")}`);
  if (record.familiarity && !record.familiarity.familiar) found.push("unlike the training images");
  return found;
}

function draw(row) {
  const record = row.answers[0];
  const { canvas } = row;
  canvas.setAttribute("aria-label", `${row.name}: ${record.label}, ${percent(record.probability)}${record.map ? ", with its evidence" : ""}`);
  const image = new Image();
  image.onload = () => {
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    const pen = canvas.getContext("2d");
    pen.drawImage(image, 0, 0, canvas.width, canvas.height);
    if (record.map) {
      pen.globalAlpha = $("strength").value / 100;
      pen.imageSmoothingQuality = "high";
      pen.drawImage(layer(record.map), 0, 0, canvas.width, canvas.height);
      pen.globalAlpha = 1;
    }
  };
  image.onerror = () => canvas.replaceWith(make("p", { class: "soft" }, "no picture: this browser does not show such a file"));
  image.src = record.picture || (row.address ||= URL.createObjectURL(row.blob));
}

// ---- several images --------------------------------------------------------------------------------------------------

function table() {
  const both = models.length > 1 && rows.some((row) => row.answers[1]);
  const head = ["image", "label", "probability", ...(both ? [`by ${models[1].file}`] : []), "remarks", "ms"];
  const body = rows.map((row) => {
    const record = row.answers[0];
    if (!record) return make("tr", {}, make("td", {}, row.name), make("td", { colspan: head.length - 1 }, row.error || "waiting…"));
    const other = row.answers[1];
    const cells = [row.name, record.label, percent(record.probability)];
    if (both) cells.push(other ? `${other.label} ${percent(other.probability)}` : "–");
    cells.push(remarks(record).join("; "), record.milliseconds.toFixed(1));
    return make("tr", {}, ...cells.map((cell) => make("td", {}, cell)));
  });
  const names = make("tr", {}, ...head.map((name) => make("th", { scope: "col" }, name)));
  $("table").hidden = rows.length < 2;
  $("table").replaceChildren(make("table", {}, make("caption", { class: "quiet" }, "All images"), make("thead", {}, names), make("tbody", {}, ...body)));
}

// ---- the page --------------------------------------------------------------------------------------------------------

function describe(model) {
  const { card } = model;
  const said = card.metrics?.[card.scheme === "float32" ? "float32" : "int8"]?.accuracy;
  const scored = card.metrics?.[card.scheme === "float32" ? "float32" : "int8"]?.n;
  const shown = [
    ["file", model.file],
    ["labels", card.labels.join(", ")],
    ["threshold", card.threshold === null ? "none: the most probable label" : `${percent(card.threshold)} for ${card.positive}`],
    ["scheme", `${card.scheme} (${card.verdict})`],
    ["accuracy", said ? `${percent(said.value)} (${percent(said.low)} to ${percent(said.high)}) on ${scored ?? "?"} test images` : "not in the card"],
    ["input", `${card.input.width}×${card.input.height} pixels`],
    ["size", `${Math.round(model.size_bytes / 1000).toLocaleString("en")} kB, ${model.parameters.toLocaleString("en")} parameters`],
    ["runtime", `${model.runtime}: ${model.why}`],
    ["doubt", card.doubt ? [card.doubt.sets ? "label sets" : "", card.doubt.familiarity ? "familiarity" : "", ...card.doubt.left_out].filter(Boolean).join("; ") : "none"],
    ["SHA-256", card.hashes.flatbuffer],
  ];
  return make("dl", {}, ...shown.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

async function begin() {
  const response = await ask("/v1/card");
  if (response.status === 401) {
    $("title").textContent = "This server asks for a token";
    $("entrance").hidden = false;
    $("token").focus();
    return;
  }
  const told = await response.json();
  if (!response.ok) {
    $("title").textContent = told.error;
    return;
  }
  if (token) sessionStorage.setItem("token", token);
  models = told.models;
  $("entrance").hidden = true;
  $("title").textContent = models[0].card.name;
  document.title = `${models[0].card.name} – mstl-edge`;
  $("subtitle").textContent = `${models[0].card.labels.join(", ")} · ${models[0].file} · ${models[0].runtime}`;
  $("where").textContent = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname) ? "this machine" : location.hostname;
  if (models.length > 1) {
    $("compare-label").hidden = false;
    $("compare-text").textContent = `compare with ${models[1].file}`;
    $("compare").checked = true;
  }
  $("cards").replaceChildren(...models.map(describe));
  const links = told.reports.map((one) => make("a", { href: one.address, target: "_blank", rel: "noopener" }, one.title));
  links.push(make("a", { href: "/openapi.json", target: "_blank", rel: "noopener" }, "for programs: OpenAPI"));
  $("links").replaceChildren(...links.flatMap((link, n) => (n ? [" · ", link] : [link])));
  $("work").hidden = $("about").hidden = false;
}

for (const id of ["files", "camera"]) {
  $(id).addEventListener("change", (event) => {
    take(event.target.files);
    event.target.value = "";
  });
}
addEventListener("dragover", (event) => {
  event.preventDefault();
  $("drop").classList.add("over");
});
addEventListener("dragleave", () => $("drop").classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  if (models.length) take(event.dataTransfer.files);
});
addEventListener("paste", (event) => {
  if (models.length && event.clipboardData.files.length) take(event.clipboardData.files);
});
$("strength").addEventListener("input", () => rows.filter((row) => row.canvas?.isConnected).forEach(draw));
$("compare").addEventListener("change", () => {
  const lacking = rows.filter((row) => !row.error && !row.answers[1]);
  if ($("compare").checked) waiting.push(...lacking);
  next();
});
$("csv").addEventListener("click", () => {
  const address = URL.createObjectURL(new Blob([csv(models, rows)], { type: "text/csv" }));
  make("a", { href: address, download: "answers.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
});
$("clear").addEventListener("click", () => {
  rows.splice(0).forEach((row) => row.address && URL.revokeObjectURL(row.address));
  waiting.length = 0;
  $("results").replaceChildren();
  $("controls").hidden = true;
  table();
  next();
});
$("entrance").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value;
  begin();
});
// Behind a #, an address's rest reaches no server and no log.
token = new URLSearchParams(location.hash.slice(1)).get("token") || sessionStorage.getItem("token") || "";
if (token) {
  sessionStorage.setItem("token", token);
  history.replaceState(null, "", location.pathname);
}
begin().catch((error) => {
  $("title").textContent = `The server does not answer (${error.message})`;
});
