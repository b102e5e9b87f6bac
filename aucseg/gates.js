// Asked by aucseg.gates of a page that is open in a browser: what a reader would see, and no file tells.
"use strict";

// Run first of all on the page: errors of its own scripts.
window.aucsegErrors = [];
window.addEventListener("error", event => {
  const file = (event.filename || "").split("/").pop();
  if (event.message) window.aucsegErrors.push(`${event.message} (${file})`);
}, true);

// Contrast as WCAG 2 has it, of words on the colour behind them.
const parse = text => {
  const found = text.match(/rgba?\(([^)]+)\)/);
  if (!found) return [0, 0, 0, 0];
  const numbers = found[1].split(/[ ,/]+/).map(Number);
  return numbers.length < 4 ? [...numbers, 1] : numbers;
};
const linear = value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
const luminance = color => {
  const [red, green, blue] = color.slice(0, 3).map(value => linear(value / 255));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};
const over = (above, below) =>
  above.slice(0, 3).map((value, i) => value * above[3] + below[i] * (1 - above[3])).concat([1]);
const ground = element => {
  const layers = [];
  for (let at = element; at; at = at.parentElement) {
    const color = parse(getComputedStyle(at).backgroundColor);
    if (color[3] > 0) layers.push(color);
    if (color[3] === 1) break;
  }
  return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
};
const contrast = element => {
  const below = ground(element);
  const values = [luminance(over(parse(getComputedStyle(element).color), below)), luminance(below)];
  return (Math.max(...values) + 0.05) / (Math.min(...values) + 0.05);
};
const written = element =>
  [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim()) && element.checkVisibility() &&
  !element.closest("svg, mjx-container, .math, .headerlink, .copybtn, .sd-badge");

// What makes a page wider than its window; what scrolls in a box of its own does not.
const PHONE = 390;
const rolls = element => {
  for (let at = element.parentElement; at && at !== document.body; at = at.parentElement)
    if (getComputedStyle(at).overflowX !== "visible") return true;
  return false;
};
const wider = () => {
  if (document.documentElement.scrollWidth <= window.innerWidth + 1) return [];
  const beyond = [...document.querySelectorAll("article *")].filter(element =>
    element.getBoundingClientRect().right > window.innerWidth + 1 && element.checkVisibility() && !rolls(element));
  const leaves = beyond.filter(element => !beyond.some(other => other !== element && element.contains(other)));
  return (leaves.length ? leaves : [document.body]).slice(0, 3).map(element =>
    `${element.tagName.toLowerCase()} ${element.textContent.trim().slice(0, 50)}`);
};
const framed = window.parent !== window;

window.addEventListener("load", () => setTimeout(() => {
  if (framed) {
    window.parent.postMessage({ aucsegWide: wider() }, "*");
    return;
  }
  const faults = new Set(window.aucsegErrors.map(text => "an error of a script: " + text));
  const words = "p, li, td, th, span, a, code, dt, figcaption, summary, h1, h2, h3";
  for (const theme of ["light", "dark"]) {
    Object.assign(document.documentElement.dataset, { theme, mode: theme });
    const pale = new Map();
    for (const element of [...document.querySelectorAll("article")].flatMap(a => [...a.querySelectorAll(words)])) {
      if (!written(element) || contrast(element) >= 4.5) continue;
      const kind = `${element.tagName.toLowerCase()}.${element.className} ${getComputedStyle(element).color}`;
      const text = element.textContent.trim().slice(0, 30);
      if (!pale.has(kind)) pale.set(kind, `${contrast(element).toFixed(1)} (${kind}): ${text}`);
    }
    for (const told of pale.values()) faults.add(`text too pale in the ${theme}, ${told}`);
  }
  for (const header of document.querySelectorAll("article thead th"))
    if (header.textContent.trim() && !header.closest("details:not([open])") && !header.checkVisibility())
      faults.add("a header that cannot be seen: " + header.textContent.trim().slice(0, 40));
  for (const figure of document.querySelectorAll("article figure.aucseg-figure"))
    if (figure.scrollWidth > figure.clientWidth + 2)
      faults.add(`a figure that is cut off at this width: ${figure.scrollWidth} of ${figure.clientWidth} pixels, ` +
        figure.textContent.trim().match(/Figure \d+|$/)[0]);
  const tell = () => {
    const answer = document.createElement("script");
    answer.type = "application/json";
    answer.id = "aucseg-answer";
    answer.textContent = JSON.stringify([...faults]).replaceAll("<", "\\u003c");
    document.body.append(answer);
  };
  // The page once more, as wide as a phone: a frame asks itself, as no other page may look into it.
  window.addEventListener("message", ({ data }) => {
    if (!Array.isArray(data?.aucsegWide)) return;
    for (const wide of data.aucsegWide) faults.add(`wider than a phone of ${PHONE} pixels: ${wide}`);
    tell();
  });
  const phone = document.createElement("iframe");
  phone.style.cssText = `width:${PHONE}px;height:800px;border:0`;
  phone.src = location.href.split("#")[0];
  document.body.append(phone);
}, 400));
