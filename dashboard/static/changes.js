// Change points of a chart: fetched for the span it shows, marked on its lower edge, told in words.

import { moment, number } from "./words.js";

/** What changed in [from, to) ms of one point; null where that is not known: a chart is one without its marks too. */
export async function changesOf(device, point, points, from, to, signal) {
  const span = { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
  const asked = new URLSearchParams({ device, point, points, ...span });
  try {
    const answer = await fetch(`/api/v1/readings/changepoints?${asked}`, { signal, headers: { Accept: "application/json" } });
    return answer.ok ? (await answer.json()).changes.map((change) => ({ ...change, at: Date.parse(change.at) / 1000 })) : null;
  } catch {
    return null;
  }
}

/** A dashed line where the behaviour changed, with a foot that can be pointed at. `u` is the chart. */
export function drawChanges(u, changes, colour) {
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio;
  const bottom = bbox.top + bbox.height;
  ctx.strokeStyle = ctx.fillStyle = colour;
  ctx.lineWidth = 1.25 * ratio;
  for (const change of changes) {
    const x = u.valToPos(change.at, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.setLineDash([3 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bottom);
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.beginPath();
    ctx.moveTo(x - 5 * ratio, bottom);
    ctx.lineTo(x, bottom - 7 * ratio);
    ctx.lineTo(x + 5 * ratio, bottom);
    ctx.fill();
  }
}

/** The change whose line is within reach of `left` px, if any. */
export function changeAt(u, changes, left) {
  return changes.find((change) => Math.abs(left - u.valToPos(change.at, "x")) < 7);
}

export function changeInWords({ at, before, after }, unit) {
  return `changed ${moment(new Date(at * 1000))} from ${number(before)} to ${number(after)} ${unit}`.trimEnd();
}
