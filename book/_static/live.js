// Figures that a reader can move. Without this script the still picture of each stands in its place; with it
// that is replaced by fields and a drawing, from numbers that the page holds. aucseg.plots.live writes them.
"use strict";
(() => {
  // What a pair of pixels costs, of x = scale times the difference of their scores.
  const surrogates = {
    square: (x, margin) => (margin - x) ** 2,
    hinge: (x, margin) => Math.max(0, margin - x),
    squared_hinge: (x, margin) => Math.max(0, margin - x) ** 2,
    exp: x => Math.exp(-x),
    logistic: x => Math.log1p(Math.exp(-x)),
  };

  // The smallest whole B with factor (1 - p)^B <= delta. Where both sides are equal, rounding must not decide.
  const smallest = (factor, delta, p) => {
    const size = Math.log(delta / factor) / Math.log1p(-p);
    const nearest = Math.round(size);
    return Math.max(1, Math.abs(size - nearest) < 1e-9 * Math.max(1, nearest) ? nearest : Math.ceil(size));
  };
  // Batches that hold all K classes, each in a share p of the images, but for a chance of delta.
  const batches = (classes, delta, p) => ({
    needed: smallest(1, delta, p),
    independent: smallest(1, -Math.expm1(Math.log1p(-delta) / classes), p),
    enough: smallest(classes, delta, p),
  });
  // The chance that some class is missing from B images: exact if classes are independent, and Proposition 1.
  const missing = (classes, p, size) => ({
    needed: (1 - p) ** size,
    independent: -Math.expm1(classes * Math.log1p(-((1 - p) ** size))),
    enough: classes * (1 - p) ** size,
  });

  // Of ascending numbers: how many are below a value, and how many at most that.
  const below = (sorted, value, equal = false) => {
    let low = 0, high = sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sorted[middle] < value || (equal && sorted[middle] === value)) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  // The chance that a positive scores higher than a negative; equal ones count half.
  const auc = (positive, negative) =>
    positive.reduce((sum, score) => sum + (below(negative, score) + below(negative, score, true)) / 2, 0) /
    (positive.length * negative.length);
  // What a threshold makes of two classes, of which the negative has `ratio` pixels for each of the positive.
  const judged = (positive, negative, threshold, ratio) => {
    const right = 1 - below(positive, threshold) / positive.length;
    const wrong = 1 - below(negative, threshold) / negative.length;
    return {
      right, wrong,
      accuracy: (right + ratio * (1 - wrong)) / (1 + ratio),
      iou: right / (1 + ratio * wrong),
    };
  };
  const best = (positive, negative, ratio) => {
    const every = positive.map(score => [judged(positive, negative, score, ratio).iou, score]);
    return every.reduce((a, b) => (b[0] > a[0] ? b : a));
  };

  // The page holds numbers of the package for what is computed here: another result is an error.
  const near = (what, here, there, most) => {
    if (!(Math.abs(here - there) <= most * Math.max(1, Math.abs(there))))
      throw new Error(`${what} is ${here} here and ${there} by the package`);
  };

  const formulas = { surrogates, batches, missing, auc, judged, best, near };
  if (typeof module === "object") {
    module.exports = formulas;
    return;
  }

  const element = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };
  const escape = text => String(text).replace(/[&<>"]/g, sign => `&#${sign.charCodeAt(0)};`);
  const short = value => Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : String(+value.toPrecision(3));
  const percent = value => {
    const number = 100 * value;
    return (number < 0.01 && number > 0 ? "less than 0.01" : String(+number.toPrecision(3))) + "%";
  };
  const ink = color => `var(--aucseg-${color.slice(1)}, ${color})`;

  // A slider with its name and its value; the value of a logarithmic one is a power of ten.
  const slider = (name, { min, max, step, value, log = false, say = short }, moved) => {
    const place = log ? Math.log10 : v => v;
    const input = element("input", { type: "range", min: place(min), max: place(max), step });
    input.value = place(value);
    const told = element("output");
    const read = () => (log ? 10 ** Number(input.value) : Number(input.value));
    const follow = () => {
      told.textContent = say(read());
      input.setAttribute("aria-valuetext", told.textContent);
    };
    input.addEventListener("input", () => { follow(); moved(); });
    follow();
    return { read, input, follow, node: element("label", {}, element("span", {}, name), told, input) };
  };
  const choice = (name, options, chosen, moved) => {
    const select = element("select");
    for (const [value, label] of options) select.append(element("option", { value }, label));
    select.value = chosen;
    select.addEventListener("change", moved);
    return { read: () => select.value, node: element("label", {}, element("span", {}, name), select) };
  };

  const ticks = ({ range: [low, high], log }) => {
    if (log) {
      const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9);
      return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => 10 ** (first + i));
    }
    const rough = (high - low) / 5, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map(factor => factor * power).find(value => value >= rough);
    const first = Math.ceil(low / step - 1e-9), last = Math.floor(high / step + 1e-9);
    return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
  };

  // A chart as the text of an SVG: axes, and what is added in the units of the data.
  let charts = 0;
  const chart = ({ width, height, x, y, alt }) => {
    const name = `aucseg-chart-${charts++}`, left = 52, right = 24, top = 10, bottom = 42;
    const placed = ({ range: [low, high], log }, from, to) => {
      const of = log ? Math.log : value => value;
      return value => from + (of(Math.max(value, log ? low / 1e6 : -Infinity)) - of(low)) / (of(high) - of(low)) * (to - from);
    };
    const across = placed(x, left, width - right), up = placed(y, height - bottom, top);
    const at = value => value.toFixed(1);
    const back = [], front = [];
    for (const value of ticks(x)) {
      back.push(`<path class="grid" d="M${at(across(value))} ${top}V${height - bottom}"/>`);
      back.push(`<text x="${at(across(value))}" y="${height - bottom + 16}" text-anchor="middle">${short(value)}</text>`);
    }
    for (const value of ticks(y)) {
      back.push(`<path class="grid" d="M${left} ${at(up(value))}H${width - right}"/>`);
      back.push(`<text x="${left - 6}" y="${at(up(value) + 4)}" text-anchor="end">${short(value)}</text>`);
    }
    back.push(`<text x="${(left + width - right) / 2}" y="${height - 6}" text-anchor="middle">${escape(x.label)}</text>`);
    back.push(`<text transform="translate(12 ${(top + height - bottom) / 2}) rotate(-90)" text-anchor="middle">${escape(y.label)}</text>`);
    const path = points => points.map(([a, b], i) => `${i ? "L" : "M"}${at(across(a))} ${at(up(b))}`).join("");
    return {
      line: (points, color, dash = "") =>
        front.push(`<path fill="none" stroke="${ink(color)}" stroke-width="2" stroke-dasharray="${dash}" d="${path(points)}"/>`),
      area: (points, color, opacity = 0.35) =>
        front.push(`<path fill="${color === "ink" ? "currentColor" : ink(color)}" fill-opacity="${opacity}" d="${path(points)}Z"/>`),
      dot: (a, b, color) =>
        front.push(`<circle cx="${at(across(a))}" cy="${at(up(b))}" r="5" fill="${ink(color)}" stroke="currentColor"/>`),
      rule: ({ x: a, y: b, dash = "2 3" }) =>
        front.push(`<path fill="none" stroke="currentColor" stroke-dasharray="${dash}" d="${
          b === undefined ? `M${at(across(a))} ${top}V${height - bottom}` : `M${left} ${at(up(b))}H${width - right}`}"/>`),
      text: () =>
        `<svg role="img" aria-label="${escape(alt)}" viewBox="0 0 ${width} ${height}" style="width: 100%; max-width: ${width}px">` +
        `<clipPath id="${name}"><rect x="${left}" y="${top}" width="${width - left - right}" height="${height - top - bottom}"/></clipPath>` +
        `${back.join("")}<g clip-path="url(#${name})">${front.join("")}</g></svg>`,
    };
  };
  // Names of lines with a piece of each: never colours alone.
  const key = entries => element("ul", { class: "aucseg-key" }, ...entries.map(([label, color, dash, kind = "line"]) => {
    const item = element("li");
    item.innerHTML = `<svg viewBox="0 0 28 10" width="28" height="10" aria-hidden="true">${kind === "line"
      ? `<path d="M0 5H28" stroke="${ink(color)}" stroke-width="2.5" stroke-dasharray="${dash || ""}"/>`
      : `<rect width="28" height="10" fill="${ink(color)}" fill-opacity="${kind}"/>`}</svg> ${escape(label)}`;
    return item;
  }));
  const steps = (low, high, count, log = false) => Array.from({ length: count + 1 }, (_, i) =>
    log ? low * (high / low) ** (i / count) : low + (high - low) * i / count);

  // Each kind of figure: from its place and numbers to what draws it anew for a width.
  const kinds = {
    surrogates(data, redraw) {
      for (const [name, margin, scale, difference, value] of data.checks)
        near(`${name} at ${difference}`, surrogates[name](scale * difference, margin), value, 1e-6);
      const margin = slider("margin γ", { min: 0.05, max: 2, step: 0.05, value: 1 }, redraw);
      const scale = slider("scale", { min: 0.5, max: 5, step: 0.1, value: 1 }, redraw);
      const pair = slider("difference of a pair", { min: -1, max: 1, step: 0.02, value: 0.2 }, redraw);
      return {
        controls: [margin, scale, pair],
        draw(width) {
          const [g, s, d] = [margin, scale, pair].map(each => each.read());
          const names = Object.keys(data.looks);
          const cost = name => surrogates[name](s * d, g);
          const slope = name => (surrogates[name](s * (d + 1e-5), g) - surrogates[name](s * (d - 1e-5), g)) / 2e-5;
          const drawn = chart({ width: Math.min(width, 680), height: 330, alt: "Loss of a pair over the difference of its scores, a line for each surrogate",
            x: { range: [-1.2, 1.2], label: "score difference s⁺ − s⁻" },
            y: { range: [0, Math.max(4.5, 1.05 * (g + s) ** 2)], label: "loss of the pair" } });
          for (const side of [-1, 1]) drawn.area([[side, 0], [1.2 * side, 0], [1.2 * side, 99], [side, 99]], "ink", 0.12);
          for (const name of names) drawn.line(steps(-1.2, 1.2, 240).map(v => [v, surrogates[name](s * v, g)]), ...data.looks[name]);
          drawn.rule({ x: g / s });
          drawn.rule({ x: d, dash: "" });
          for (const name of names) drawn.dot(d, cost(name), data.looks[name][0]);
          const flat = names.filter(name => Math.abs(slope(name)) < 1e-9);
          return {
            charts: [drawn.text()],
            key: key(names.map(name => [`${name.replace("_", " ")}: ${cost(name).toFixed(2)}`, ...data.looks[name]])),
            words: `A pair whose scores differ by ${d.toFixed(2)} costs ${names.map(name => `${cost(name).toFixed(2)} by ${name.replace("_", " ")}`).join(", ")}. ` +
              `The margin, the dotted line, stands at ${(g / s).toFixed(2)}${g / s > 1 ? ", which no pair reaches" : ""}. ` +
              (slope("square") > 1e-9 ? "This pair lies beyond it, and the square pulls it back. " : "") +
              (flat.length ? `Nothing pulls at it by ${flat.map(name => name.replace("_", " ")).join(" and ")}.` : "All five pull at it."),
          };
        },
      };
    },

    batch_size(data, redraw) {
      for (const [classes, delta, p, ...sizes] of data.checks)
        Object.values(batches(classes, delta, p)).forEach((size, i) => near(`batch size ${i} for ${classes}, ${delta}, ${p}`, size, sizes[i], 0));
      const classes = slider("classes K", { min: 2, max: 200, step: 1, value: data.classes }, redraw);
      const p = slider("rarest class in", { min: 0.001, max: 0.5, step: 0.01, value: data.p, log: true, say: v => percent(v) + " of images" }, redraw);
      const delta = slider("δ", { min: 0.001, max: 0.3, step: 0.01, value: data.delta, log: true }, redraw);
      const size = slider("batch B", { min: 1, max: 10000, step: 0.01, value: data.size, log: true, say: v => short(Math.round(v)) }, redraw);
      return {
        controls: [classes, p, delta, size],
        draw(width) {
          // what a reader sees as a round number is meant as one
          const rare = Number(p.read().toPrecision(3)), least = Number(delta.read().toPrecision(3));
          const K = classes.read(), B = Math.round(size.read());
          const found = batches(K, least, rare), chance = missing(K, rare, B);
          const labels = { needed: "classes always together: needed", independent: "independent", enough: "Proposition 1: enough in every case" };
          const drawn = chart({ width: Math.min(width, 680), height: 320, alt: "Chance that some class is missing over the images in the batch, three falling lines",
            x: { range: [1, 10000], log: true, label: "images in the batch, B" },
            y: { range: [0.001, 1], log: true, label: "P(some class missing)" } });
          for (const kind of Object.keys(labels))
            drawn.line(steps(1, 10000, 300, true).map(v => [v, Math.min(1, missing(K, rare, v)[kind])]), ...data.looks[kind]);
          drawn.rule({ y: least });
          drawn.rule({ x: B, dash: "" });
          for (const kind of Object.keys(labels)) drawn.dot(B, Math.min(1, chance[kind]), data.looks[kind][0]);
          return {
            charts: [drawn.text()],
            key: key(Object.keys(labels).map(kind => [`${labels[kind]}, ${short(found[kind])} images`, ...data.looks[kind]])),
            words: `${K} classes, each in ${percent(rare)} of the images, and an accepted chance of ${short(least)} that one is missing: ` +
              `${short(found.needed)} images are needed, ${short(found.enough)} are enough, however the classes come together. ` +
              `A batch of ${short(B)} misses some class with a chance of ${percent(chance.needed)} if they always come together, of ` +
              `${percent(chance.independent)} if they know nothing of each other; Proposition 1 says at most ${percent(Math.min(1, chance.enough))}.`,
          };
        },
      };
    },

    threshold(data, redraw) {
      for (const pair of data.pairs) {
        pair.positive.sort((a, b) => a - b);
        pair.negative.sort((a, b) => a - b);
        near(`AUC of ${pair.names.join(" and ")}`, auc(pair.positive, pair.negative), pair.auc, 1e-9);
      }
      const which = choice("classes", data.pairs.map((pair, i) => [i, pair.label]), 0, redraw);
      const threshold = slider("threshold", { min: 0, max: 1, step: 0.01, value: 0.5 }, redraw);
      const ratio = slider("pixels of the other class for each", { min: 1, max: 1000, step: 0.05, value: 10, log: true }, redraw);
      const [first, second] = data.colors;
      return {
        controls: [which, threshold, ratio],
        draw(width) {
          const { names, positive, negative } = data.pairs[which.read()];
          const t = threshold.read(), r = Number(ratio.read().toPrecision(3)), bins = 25;
          const now = judged(positive, negative, t, r), [top, place] = best(positive, negative, r);
          const shares = scores => steps(0, 1, bins).slice(1).map((end, i) =>
            ((i + 1 === bins ? scores.length : below(scores, end)) - below(scores, end - 1 / bins)) / scores.length);
          const wide = width > 620;
          const [of, than] = [shares(positive), shares(negative)];
          const left = chart({ width: wide ? Math.min(430, width - 270) : width, height: 260, alt: `Shares of the pixels of ${names.join(" and of ")} over their score`,
            x: { range: [0, 1], label: `score for ${names[0]}` },
            y: { range: [0, 105 * Math.max(...of, ...than)], label: "pixels of the class (%)" } });
          for (const [each, color] of [[than, second], [of, first]])
            left.area([[0, 0], ...each.flatMap((share, i) => [[i / bins, 100 * share], [(i + 1) / bins, 100 * share]]), [1, 0]], color, 0.45);
          left.rule({ x: t, dash: "" });
          const right = chart({ width: wide ? 260 : Math.min(width, 300), height: 260, alt: "ROC curve with the point of the threshold",
            x: { range: [0, 1], label: `${names[1]} above` },
            y: { range: [0, 1.02], label: `${names[0]} above` } });
          const curve = [2, ...new Set([...positive, ...negative])].sort((a, b) => b - a)
            .map(score => judged(positive, negative, score, 1)).map(point => [point.wrong, point.right]);
          right.area([...curve, [1, 0]], first, 0.2);
          right.line(curve, first);
          right.dot(now.wrong, now.right, first);
          return {
            charts: [left.text(), right.text()],
            key: key([[names[0], first, "", 0.45], [names[1], second, "", 0.45]]),
            words: `Above ${t.toFixed(2)} lie ${percent(now.right)} of the pixels of ${names[0]} and ${percent(now.wrong)} of those of ${names[1]}. ` +
              `With ${short(r)} of these for each of ${names[0]}, ${percent(now.accuracy)} of all are right, and the IoU of ${names[0]} is ${percent(now.iou)}; ` +
              `it would be highest, ${percent(top)}, at ${place.toFixed(2)}. The AUC is ${auc(positive, negative).toFixed(3)}, wherever the threshold stands and however many there are.`,
          };
        },
      };
    },

    bank(data, redraw) {
      const pick = (name, values) => slider(name, { min: 0, max: values.length - 1, step: 1, value: values.length >> 1, say: i => short(values[i]) }, redraw);
      const [kept, drawn, scaled] = Object.entries(data.options).map(([name, values]) => pick(name, values));
      const layers = ["base", "pasted"].map(() => element("img", { alt: "" }));
      const stage = element("div", { class: "aucseg-layers" }, ...layers);
      layers[0].src = data.picture;
      return {
        controls: [kept, drawn, scaled],
        stage,
        draw() {
          const [, paste, words] = data.frames.find(([at]) => at.join() === [kept, drawn, scaled].map(each => each.read()).join());
          layers[0].alt = "A street; " + words;
          layers[1].hidden = !paste;
          if (paste) layers[1].src = paste;
          return { words };
        },
      };
    },

    compare(data, redraw) {
      const image = choice("image", data.images.map((each, i) => [i, each.name]), 0, redraw);
      const layers = Object.entries(data.layers);
      const left = choice("left", layers, layers[1][0], redraw);
      const right = choice("right", layers, layers[2][0], redraw);
      const line = slider("line", { min: 0, max: 100, step: 1, value: 50, say: v => `${v}%` }, redraw);
      const pictures = ["left", "right"].map(() => element("img"));
      const rule = element("div", { class: "aucseg-wipe", "aria-hidden": "true" });
      const stage = element("div", { class: "aucseg-layers" }, ...pictures, rule);
      // with a mouse or a finger the line follows on the picture itself
      const follow = event => {
        const box = stage.getBoundingClientRect();
        line.input.value = 100 * (event.clientX - box.left) / box.width;
        line.follow();
        redraw();
      };
      stage.addEventListener("pointerdown", event => { follow(event); stage.setPointerCapture(event.pointerId); });
      stage.addEventListener("pointermove", event => event.buttons && follow(event));
      return {
        controls: [image, left, right, line],
        stage,
        draw() {
          const shown = data.images[image.read()], at = Number(line.read());
          [left, right].forEach((side, i) => {
            pictures[i].src = shown.layers[side.read()][0];
            pictures[i].alt = `${data.layers[side.read()]}: ${shown.layers[side.read()][1]}`;
          });
          pictures[1].style.clipPath = `inset(0 0 0 ${at}%)`;
          rule.style.left = `${at}%`;
          const told = side => `${data.layers[side.read()]}: ${shown.layers[side.read()][1]}`;
          return {
            key: key(shown.classes.map(name => [name, data.colors[name], "", 1])),
            words: `Left, ${told(left)}. Right, ${told(right)}.`,
          };
        },
      };
    },
  };

  const start = place => {
    const data = JSON.parse(place.dataset.values);
    let width = 0;
    const made = kinds[place.dataset.live](data, () => draw());
    const stage = made.stage || element("div", { class: "aucseg-stage" });
    const names = element("div"), words = element("p", { class: "aucseg-said", "aria-live": "polite" });
    const fields = element("div", { class: "aucseg-controls", role: "group", "aria-label": place.dataset.name },
      ...made.controls.map(control => control.node));
    const draw = () => {
      const drawn = made.draw(width);
      if (drawn.charts) stage.innerHTML = drawn.charts.join("");
      if (drawn.key) names.replaceChildren(drawn.key);
      words.textContent = drawn.words;
    };
    place.replaceChildren(fields, stage, names, words);
    // in the next frame: a drawing that changes the size it is told of would be an error of the observer
    new ResizeObserver(() => requestAnimationFrame(() => {
      const now = Math.max(260, Math.floor(place.clientWidth));
      if (now !== width) {
        width = now;
        draw();
      }
    })).observe(place);
  };
  document.addEventListener("DOMContentLoaded", () => {
    for (const place of document.querySelectorAll("div.aucseg-live")) {
      try {
        start(place);
      } catch (error) {
        reportError(error);  // its still picture stays, and so do the other figures
      }
    }
  });
})();
