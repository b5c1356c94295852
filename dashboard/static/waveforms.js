// The latest raw vibration of a machine: for each axis what the sensor felt, and where in the spectrum it lies.
//
// Shown only where a machine sends blocks. A line of thousands of samples is drawn from lowest to highest of what falls
// on a pixel, so that no peak is lost; the spectrum comes from the server, which has the units.

import { moment, number, two } from "./words.js";

const LOOKED_THROUGH = 60;
const NEWS_EVERY_MS = 60_000;
const SPECTRUM_TO_HZ = 1000;
const LATELY = 5;
const FACTS = { rpm: "the shaft’s speed", bearing: "its bearing", group: "its group of ISO 20816", support: "its support (without both no zone)" };
const ARRAYS = { i2: Int16Array, f4: Float32Array };

function colour(name) {
  const probe = document.body.appendChild(document.createElement("i"));
  probe.style.color = `var(--${name})`;
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

async function ask(path, options) {
  const answer = await fetch(`/api/v1/${path}`, options);
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  return answer;
}

/** The newest block of each axis. */
async function newest(device) {
  const { items } = await (await ask(`devices/${encodeURIComponent(device)}/waveforms?limit=${LOOKED_THROUGH}`)).json();
  const byAxis = new Map();
  for (const item of items) if (!byAxis.has(item.axis)) byAxis.set(item.axis, item);
  return [...byAxis.values()].sort((a, b) => a.axis.localeCompare(b.axis));
}

/** Columns of time in ms, and lowest and highest value of each of so many stretches. */
function condensed(block, samples, stretches) {
  const each = Math.max(1, Math.ceil(samples.length / stretches));
  const columns = [[], [], []];
  for (let from = 0; from < samples.length; from += each) {
    let [low, high] = [Infinity, -Infinity];
    for (let i = from; i < Math.min(from + each, samples.length); i++) {
      const value = samples[i] * block.scale + block.offset;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    columns[0].push((from / block.rate_hz) * 1000);
    columns[1].push(low);
    columns[2].push(high);
  }
  return columns;
}

function figure(name, unit, said) {
  const made = document.createElement("figure");
  made.className = "trace";
  const caption = made.appendChild(document.createElement("figcaption"));
  const title = caption.appendChild(Object.assign(document.createElement("span"), { className: "name clip", textContent: name }));
  title.title = name;
  const value = caption.appendChild(document.createElement("output"));
  value.textContent = `${said} `;
  value.append(Object.assign(document.createElement("span"), { className: "band", textContent: unit }));
  const plot = made.appendChild(Object.assign(document.createElement("div"), { className: "plot" }));
  plot.setAttribute("role", "img");
  return { made, plot };
}

function draw(plot, label, unit, data, series, bands, orders) {
  plot.setAttribute("aria-label", label);
  const axis = { font: "12px Plex, system-ui, sans-serif", stroke: colour("muted"), grid: { stroke: colour("grid"), width: 1 }, ticks: { show: false } };
  const values = (_, splits) => splits.map((v) => number(v));
  const along = (_, splits) => splits.map((v, place) => (place === 0 ? `${number(v)} ${unit}` : number(v)));
  const marks = (u) => {
    u.ctx.save();
    u.ctx.fillStyle = colour("line-strong");
    u.ctx.textAlign = "left";
    u.ctx.font = `${11 * devicePixelRatio}px Plex, system-ui, sans-serif`;
    let room = 0;
    for (const [order, hz] of orders) {
      if (hz > u.scales.x.max) continue;
      const x = u.valToPos(hz, "x", true);
      u.ctx.fillRect(x, u.bbox.top, devicePixelRatio, u.bbox.height);
      if (x >= room) u.ctx.fillText(order, x + 3 * devicePixelRatio, u.bbox.top + 11 * devicePixelRatio);
      room = x + Math.max(22 * devicePixelRatio, u.ctx.measureText(order).width + 8 * devicePixelRatio);
    }
    u.ctx.restore();
  };
  return new window.uPlot({
    width: Math.max(120, plot.clientWidth),
    height: Math.max(80, plot.clientHeight),
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 20, 0, 0],
    scales: { x: { time: false } },
    series: [{}, ...series],
    bands,
    axes: [{ ...axis, values: along, space: 64, size: 28, gap: 4 }, { ...axis, values, space: 30, size: 52, gap: 4 }],
    hooks: { drawAxes: [marks] },
  }, data, plot);
}

/** What the last blocks of each axis said when they came, the newest first. */
async function verdicts(device) {
  const { items } = await (await ask(`devices/${encodeURIComponent(device)}/vibration?limit=${LOOKED_THROUGH}`)).json();
  const byAxis = new Map();
  for (const item of items) byAxis.set(item.axis, [...(byAxis.get(item.axis) ?? []), item]);
  return byAxis;
}

/** What the blocks of each axis are compared with. */
async function baselines(device) {
  const all = await (await ask(`devices/${encodeURIComponent(device)}/baselines`)).json();
  return new Map(all.map((one) => [one.axis, one]));
}

async function fetched(block) {
  const [raw, spectrum, diagnosis] = await Promise.all([
    ask(`waveforms/${block.id}/samples`).then((answer) => answer.arrayBuffer()),
    ask(`waveforms/${block.id}/spectrum?as_velocity=true&to_hz=${SPECTRUM_TO_HZ}&lines=400`).then((answer) => answer.json()),
    ask(`waveforms/${block.id}/diagnosis`).then((answer) => answer.json()),
  ]);
  return { block, samples: new ARRAYS[block.sample_type](raw), spectrum, diagnosis };
}

/** How the blocks before this one were judged: one of them alone is no alarm. */
function lately(verdicts) {
  const told = verdicts.filter((one) => one.fault !== null || one.zone !== null).slice(0, LATELY);
  if (told.length < 2) return "";
  const counts = new Map();
  for (const { fault, zone } of told) {
    const word = [zone === null ? "" : `zone ${zone}`, (fault ?? "none") === "none" ? "" : fault.replace(/_/g, " ")].filter(Boolean).join(" with ");
    counts.set(word || "nothing", (counts.get(word || "nothing") ?? 0) + 1);
  }
  return ` Last ${told.length} blocks: ${[...counts].map(([word, count]) => `${count} × ${word}`).join(", ")}.`;
}

/** What the block says of the machine, in a sentence under its pictures. */
function said(name, diagnosis, before) {
  const line = Object.assign(document.createElement("p"), { className: "finding" });
  const zone = diagnosis.zone === null ? "" : ` Zone ${diagnosis.zone.letter} (${diagnosis.zone.table}).`;
  const fault = diagnosis.fault === "none" ? "no fault is seen" : diagnosis.fault.replace(/_/g, " ");
  line.append(Object.assign(document.createElement("strong"), { textContent: `${name}: ${fault}.` }), `${zone} ${diagnosis.reason}.${lately(before)}`);
  if (diagnosis.not_known.length > 0) {
    const missing = diagnosis.not_known.map((fact) => FACTS[fact]).join(", ");
    line.append(Object.assign(document.createElement("span"), { className: "muted", textContent: ` Not said of this machine: ${missing}.` }));
  }
  return line;
}

/** What it is compared with; who may say so takes this block for healthy, or another one no longer. */
function compared({ block, diagnosis }, healthy, maySay, again) {
  const line = Object.assign(document.createElement("p"), { className: "finding small muted" });
  if (healthy !== undefined) {
    const { change } = diagnosis;
    const found = change === null ? "at another rate or speed: not to be compared" : `${change.distance_db.toFixed(1)} dB from it, ${change.is_lasting ? "more than" : "no more than"} a healthy machine may be`;
    line.append(`The block of ${moment(new Date(healthy.time))} was taken for healthy by ${healthy.set_by}: this one is ${found}. `);
  }
  const offer = (text, options) => {
    const button = line.appendChild(Object.assign(document.createElement("button"), { className: "tight", textContent: text }));
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        await ask(`devices/${encodeURIComponent(block.device)}/baselines/${encodeURIComponent(block.axis)}`, options);
        await again();
      } catch (error) {
        button.replaceWith(`That was not possible: ${error.message}.`);
      }
    });
    line.append(" ");
  };
  if (maySay && healthy?.waveform_id !== block.id) {
    offer("Take this block for healthy", { method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ waveform_id: block.id }) });
  }
  if (maySay && healthy !== undefined) offer("Compare with none", { method: "DELETE" });
  return line.hasChildNodes() ? [line] : [];
}

/** The envelope's spectrum with the lines of the evidence, where it is these that prove the fault. */
function proof(list, name, { envelope, evidence }) {
  const lines = evidence.filter((one) => one.spectrum === "envelope").sort((a, b) => a.found_hz - b.found_hz);
  if (envelope === null || lines.length === 0) return [];
  const [low, high] = envelope.band_hz;
  const made = figure(`${name}, envelope of ${number(low)} to ${number(high)} Hz`, "× the noise", number(Math.max(...lines.map((one) => one.height))));
  list.append(made.made);
  const frequencies = envelope.rms.map((_, line) => line * envelope.step_hz);
  made.chart = draw(
    made.plot, `${name}: envelope, lines at ${lines.map((one) => `${number(one.found_hz)} Hz (${one.line})`).join(", ")}`,
    "Hz", [frequencies, envelope.rms], [{ stroke: colour("trace"), width: 1, points: { show: false } }], [],
    lines.map((one) => [one.line, one.found_hz]),
  );
  return [made];
}

function show(list, { block, samples, spectrum, diagnosis }, before, words) {
  const begun = new Date(block.time);
  const name = block.axis[0].toUpperCase() + block.axis.slice(1).replace(/[_-]/g, " ");
  const felt = condensed(block, samples, Math.max(200, list.clientWidth / 2));
  const [least, most] = [Math.min(...felt[1]), Math.max(...felt[2])];
  const wave = figure(`${name}, ${moment(begun)}:${two(begun.getSeconds())}`, `${block.unit} peak to peak`, number(most - least));
  const shaft = block.shaft_rpm === null ? "" : `, ${number(block.shaft_rpm)} rpm`;
  const total = Math.hypot(...spectrum.rms);
  const lines = figure(`${name}, spectrum${shaft}`, `${spectrum.unit} RMS`, number(total));
  list.append(wave.made, lines.made);

  const stroke = colour("trace");
  const side = { stroke, width: 1, points: { show: false } };
  wave.chart = draw(
    wave.plot, `${name}: a block of ${number(block.duration_s * 1000)} ms between ${number(least)} and ${number(most)} ${block.unit}`,
    "ms", felt, [side, side], [{ series: [2, 1], fill: stroke }], [],
  );
  const frequencies = spectrum.rms.map((_, line) => line * spectrum.step_hz);
  const loudest = frequencies[spectrum.rms.indexOf(Math.max(...spectrum.rms))];
  const orders = block.shaft_rpm ? [1, 2, 3].map((order) => [`${order}×`, (order * block.shaft_rpm) / 60]) : [];
  lines.chart = draw(
    lines.plot, `${name}: ${number(total)} ${spectrum.unit} RMS, most at ${number(loudest)} Hz`,
    "Hz", [frequencies, spectrum.rms], [{ stroke, width: 1, points: { show: false } }], [], orders,
  );
  const proofs = proof(list, name, diagnosis);
  list.append(said(name, diagnosis, before.filter((one) => one.time <= block.time)), ...words);
  return [wave, lines, ...proofs];
}

async function start(section) {
  const list = section.querySelector(".traces");
  let shown = "";
  let charts = [];
  const again = () => {
    shown = "";
    return look();
  };
  const look = async () => {
    try {
      const blocks = await newest(section.dataset.device);
      const ids = blocks.map((block) => block.id).join();
      if (ids === shown) return;
      const { device, maySay } = section.dataset;
      const [before, healthy, ...all] = await Promise.all([verdicts(device), baselines(device), ...blocks.map(fetched)]);
      for (const { chart } of charts) chart.destroy();
      list.replaceChildren();
      section.hidden = false;
      charts = all.flatMap((one) => {
        const words = compared(one, healthy.get(one.block.axis), maySay !== undefined, again);
        return show(list, one, before.get(one.block.axis) ?? [], words);
      });
      shown = ids;
    } catch (error) {
      section.dataset.failed = error.message;
    }
  };
  await look();
  setInterval(() => document.visibilityState === "visible" && look(), NEWS_EVERY_MS);
  new ResizeObserver(() => {
    for (const { chart, plot } of charts) chart.setSize({ width: Math.max(120, plot.clientWidth), height: Math.max(80, plot.clientHeight) });
  }).observe(list);
  document.addEventListener("bw:theme", again);
}

for (const section of document.querySelectorAll("[data-waveforms]")) start(section);
