// A signature drawn on a pad: strokes in whole numbers of a box of 1000 by 300, sent with the form that the pad is in.

const WIDTH = 1000, HEIGHT = 300, PEN = 6;
const MOST_STROKES = 80, MOST_POINTS = 2000; // what the API takes
const NEAR = 4; // a point so near to the one before tells nothing more

const drawn = new WeakMap(); // strokes by canvas: a page that is refreshed around it keeps them
const strokesOf = (canvas) => drawn.get(canvas) ?? [];
const points = (strokes) => strokes.reduce((sum, stroke) => sum + stroke.length / 2, 0);

const place = (canvas, event) => {
  const box = canvas.getBoundingClientRect();
  const scaled = (at, start, size, most) => Math.max(0, Math.min(most, Math.round((at - start) / size * most)));
  return [scaled(event.clientX, box.left, box.width, WIDTH), scaled(event.clientY, box.top, box.height, HEIGHT)];
};

const draw = (canvas) => {
  const pen = canvas.getContext("2d");
  pen.clearRect(0, 0, WIDTH, HEIGHT);
  pen.strokeStyle = getComputedStyle(canvas).color;
  pen.lineWidth = PEN;
  pen.lineCap = pen.lineJoin = "round";
  for (const stroke of strokesOf(canvas)) {
    pen.beginPath();
    pen.moveTo(stroke[0], stroke[1]);
    for (let i = 0; i < stroke.length; i += 2) pen.lineTo(stroke[i], stroke[i + 1]);
    pen.stroke();
  }
};

const clear = (canvas) => {
  drawn.delete(canvas);
  draw(canvas);
};

document.addEventListener("pointerdown", (event) => {
  const canvas = event.target;
  if (!canvas.matches?.("[data-pad] canvas") || event.button !== 0 || !event.isPrimary) return;
  const strokes = strokesOf(canvas);
  if (strokes.length >= MOST_STROKES || points(strokes) >= MOST_POINTS) return;
  event.preventDefault();
  canvas.focus({ preventScroll: true }); // a form that somebody is in is not refreshed
  canvas.setPointerCapture(event.pointerId);
  drawn.set(canvas, [...strokes, place(canvas, event)]);
  draw(canvas);
});

document.addEventListener("pointermove", (event) => {
  const canvas = event.target;
  if (!canvas.matches?.("[data-pad] canvas") || !canvas.hasPointerCapture(event.pointerId)) return;
  const strokes = strokesOf(canvas), stroke = strokes.at(-1), [x, y] = place(canvas, event);
  if (!stroke || points(strokes) >= MOST_POINTS || Math.hypot(x - stroke.at(-2), y - stroke.at(-1)) < NEAR) return;
  stroke.push(x, y);
  draw(canvas);
});

document.addEventListener("click", (event) => {
  if (event.target.matches?.("[data-pad-clear]")) clear(event.target.closest("[data-pad]").querySelector("canvas"));
});
document.addEventListener("reset", (event) => {
  for (const canvas of event.target.querySelectorAll("[data-pad] canvas")) clear(canvas);
});
document.addEventListener("formdata", (event) => {
  for (const canvas of event.target.querySelectorAll("[data-pad] canvas")) {
    const strokes = strokesOf(canvas);
    if (strokes.length) event.formData.set("signature.strokes", JSON.stringify(strokes));
  }
});
