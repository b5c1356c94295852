// How a chart looks: its colours, the labels of its axes, and what lies behind its line.

import { moment, two } from "./words.js";

// Colours come from the style sheet; the canvas needs them resolved.
const NAMES = ["trace", "trace-band", "grid", "muted", "text", "surface", "line-strong", "critical", "high", "medium", "low", "medium-soft", "expected", "expected-line", "accent"];
export const colours = {};
export function readColours() {
  const probe = document.body.appendChild(document.createElement("i"));
  for (const name of NAMES) {
    probe.style.color = `var(--${name})`;
    colours[name] = getComputedStyle(probe).color;
  }
  probe.remove();
}

function faded(colour, alpha) {
  const parts = colour.match(/[\d.]+/g).slice(0, 3).join(", ");
  return `rgba(${parts}, ${alpha})`;
}

const hhmm = (d) => `${two(d.getHours())}:${two(d.getMinutes())}`;
const dayOf = (d) => moment(d).replace(/ \d\d:\d\d$/, "");

/** Labels of the time axis for steps of `incr` seconds: 24 hours, the day where a new one begins. */
export function timeLabels(_, splits, __, ___, incr) {
  return splits.map((second) => {
    const d = new Date(second * 1000);
    if (incr >= 300 * 86400) return String(d.getFullYear());
    if (incr >= 27 * 86400) return d.getMonth() === 0 ? String(d.getFullYear()) : dayOf(d).replace(/^\d+ /, "");
    const midnight = d.getHours() === 0 && d.getMinutes() === 0 && d.getSeconds() === 0;
    if (incr >= 86400 || midnight) return dayOf(d);
    return incr >= 60 ? hhmm(d) : `${hhmm(d)}:${two(d.getSeconds())}`;
  });
}

export function valueLabels(_, splits, __, ___, incr) {
  let digits = 0;
  while (digits < 6 && Math.abs(incr * 10 ** digits - Math.round(incr * 10 ** digits)) > 1e-6) digits++;
  return splits.map((v) => {
    const [whole, part] = v.toFixed(digits).split(".");
    const grouped = whole.replace(/\B(?=(\d{3})+$)/g, "\u202f").replace("-", "−");
    return part ? `${grouped}.${part}` : grouped;
  });
}

/** What the axis of values shows of these; those that are null or no number are left out. */
export function valueRange(values) {
  const known = values.filter((v) => v !== null && Number.isFinite(v));
  if (!known.length) return [0, 1];
  const [least, most] = [Math.min(...known), Math.max(...known)];
  // Noise on a large mean must not fill the chart: one per cent of the mean at least.
  const spread = Math.max(most - least, 0.01 * Math.max(Math.abs(least), Math.abs(most)), 1e-6);
  const middle = (least + most) / 2;
  return [middle - spread * 0.58, middle + spread * 0.58];
}

/** Where a line would not show: readings with a gap to both sides. */
export function lonely(u, index, shown) {
  if (shown) return null;
  const values = u.data[index];
  const found = [];
  for (let i = 0; i < values.length; i++) {
    if (values[i] != null && values[i - 1] == null && values[i + 1] == null) found.push(i);
  }
  return found;
}

/** Within the plot, and nowhere else. */
export function inside(u, draw) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  draw();
  ctx.restore();
}

function place(u, second) {
  return Math.min(u.bbox.left + u.bbox.width, Math.max(u.bbox.left, u.valToPos(second, "x", true)));
}

/** The span that an alarm is about: from its first second to its last, null is now. */
export function drawWindow(u, [from, to]) {
  const { ctx, bbox } = u;
  const [begin, end] = [place(u, from), place(u, to ?? Date.now() / 1000)];
  ctx.fillStyle = faded(colours.medium, 0.1);
  ctx.fillRect(begin, bbox.top, end - begin, bbox.height);
  ctx.fillStyle = colours.medium;
  if (begin > bbox.left) ctx.fillRect(begin, bbox.top, 2 * devicePixelRatio, bbox.height);
}

/** What would be normal; null is no bound. */
export function drawBand(u, low, high) {
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio;
  const y = (v, edge) => (v === null ? edge : Math.min(bbox.top + bbox.height, Math.max(bbox.top, u.valToPos(v, "y", true))));
  const top = y(high, bbox.top);
  const bottom = y(low, bbox.top + bbox.height);
  ctx.fillStyle = colours.expected;
  ctx.fillRect(bbox.left, top, bbox.width, bottom - top);
  ctx.strokeStyle = colours["expected-line"];
  ctx.lineWidth = ratio;
  ctx.setLineDash([5 * ratio, 4 * ratio]);
  for (const [value, edge] of [[high, top], [low, bottom]]) {
    if (value === null) continue;
    ctx.beginPath();
    ctx.moveTo(bbox.left, edge);
    ctx.lineTo(bbox.left + bbox.width, edge);
    ctx.stroke();
  }
  ctx.setLineDash([]);
}

/** An alarm: a bar while it stood, a flag where it was raised; `shaded`: its whole height as well. */
export function drawMark(u, mark, shaded) {
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio;
  const [begin, raised, end] = [place(u, mark.since), place(u, mark.raised), place(u, mark.returned ?? Date.now() / 1000)];
  const colour = colours[mark.severity];
  ctx.fillStyle = faded(colour, 0.07);
  if (shaded) ctx.fillRect(begin, bbox.top, end - begin, bbox.height);
  ctx.fillStyle = colour;
  ctx.fillRect(begin, bbox.top, Math.max(end - begin, 3 * ratio), 4 * ratio);
  if (raised > bbox.left && raised < bbox.left + bbox.width) {
    ctx.fillRect(raised - ratio / 2, bbox.top, 1.5 * ratio, bbox.height);
    ctx.beginPath();
    ctx.moveTo(raised - 5 * ratio, bbox.top);
    ctx.lineTo(raised + 5 * ratio, bbox.top);
    ctx.lineTo(raised, bbox.top + 9 * ratio);
    ctx.fill();
  }
}
