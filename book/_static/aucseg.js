// Small things of these pages; nothing is loaded from another host, and without scripts only they are missing.
"use strict";

// The records behind a table: its line leads to the page of all records.
document.addEventListener("DOMContentLoaded", () => {
  const root = document.documentElement.dataset.content_root || "./";
  for (const link of document.querySelectorAll("a.aucseg-records[data-records]"))
    link.href = root + "records.html?table=" + encodeURIComponent(link.dataset.records);
});

// The page of all records: a table that the address or two fields narrow down.
document.addEventListener("DOMContentLoaded", () => {
  const place = document.getElementById("aucseg-record-browser");
  if (!place || !window.aucsegRecords) return;
  const element = (name, text = "", attributes = {}) => {
    const made = document.createElement(name);
    made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const keys = [...new Set(window.aucsegRecords.flatMap(record => record.tables.map(([key]) => key)))].sort();
  const choice = element("select", "", { "aria-label": "table" });
  choice.append(element("option", "all records", { value: "" }));
  const option = key => element("option", key.replaceAll("_", " ").replaceAll("/", ", "), { value: key });
  for (const key of keys) choice.append(option(key));
  const words = element("input", "", { type: "search", placeholder: "arm, commit or identity", "aria-label": "words" });
  const count = element("p", "", { "aria-live": "polite" });
  const table = element("table");
  const head = ["record", "arm", "data set", "seed", "mIoU (%)", "tail (%)", "seconds", "commit"];
  // A table of several experiments has their names joined by plus signs.
  const parts = key => {
    const [names, ...place] = key.split("/");
    return names.split("+").map(name => [name, ...place].join("/"));
  };
  const draw = () => {
    const chosen = parts(choice.value);
    const wanted = words.value.trim().toLowerCase();
    const rows = window.aucsegRecords
      .map(record => ({ record, arms: record.tables.filter(([key]) => !choice.value || chosen.includes(key)) }))
      .filter(({ record, arms }) => (arms.length || !choice.value) &&
        (!wanted || [record.identity, record.commit, ...arms.map(pair => pair[1])].some(text => text.includes(wanted))));
    count.textContent = rows.length + (rows.length === 1 ? " record" : " records");
    const header = element("tr");
    head.forEach(title => header.append(element("th", title, { scope: "col" })));
    const body = document.createElement("tbody");
    for (const { record, arms } of rows) {
      const row = element("tr");
      const link = element("a", record.identity, {
        href: "_static/records/" + record.profile + "/" + record.identity + ".json", download: "" });
      const cells = [link, [...new Set(arms.map(pair => pair[1]))].join(", "), record.dataset, record.seed,
        record.mIoU.toFixed(2), record.tail === null ? "–" : record.tail.toFixed(2), record.seconds, record.commit];
      for (const cell of cells) {
        const data = element("td");
        data.append(cell);
        row.append(data);
      }
      body.append(row);
    }
    const top = element("thead");
    top.append(header);
    table.replaceChildren(top, body);
  };
  const follow = () => {
    const key = new URLSearchParams(location.search).get("table") || "";
    if (!keys.includes(key) && parts(key).some(part => keys.includes(part))) {
      keys.push(key);
      choice.append(option(key));
    }
    choice.value = keys.includes(key) ? key : "";
    draw();
  };
  choice.addEventListener("change", draw);
  words.addEventListener("input", draw);
  const controls = element("div", "", { class: "aucseg-controls" });
  controls.append(choice, words);
  const scroll = element("div", "", { class: "aucseg-scroll" });
  scroll.append(table);
  place.replaceChildren(controls, count, scroll);
  follow();
});

// Search shows the words around what it found. It asks for the pages, which one from a file system may not read:
// there it gets the words of their sections from a script.
if (location.protocol === "file:" && /\/search\.html$/.test(location.pathname)) {
  const texts = new Promise(done => {
    const script = document.createElement("script");
    script.src = "_static/texts.js";
    script.onload = script.onerror = () => done(window.aucsegTexts || {});
    document.head.append(script);
  });
  window.fetch = address => texts.then(known => {
    const name = new URL(address, location.href).href
      .replace(new URL(".", location.href).href, "").replace(/\.html.*$/, "");
    const page = document.createElement("div");
    page.setAttribute("role", "main");
    for (const [id, words] of known[decodeURIComponent(name)] || []) {
      const section = document.createElement("section");
      section.id = id;
      section.textContent = words + " ";
      page.append(section);
    }
    return new Response(page.outerHTML);
  });
}
