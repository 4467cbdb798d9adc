// A pad to draw on: white on black, and after every stroke its pixels go to Python.
//
// Streamlit calls the function at the end again whenever data or theme change, with the same elements. What belongs to
// a pad is made once and kept here: a rerun must not disturb a stroke that is being drawn.

const SIDE = 280;  // CSS pixels, as in shared.css

// Strokes drawn over each other, from the soft edge inwards. A digit drawn over most of the pad's height is scaled to a
// tenth of it: this brush becomes the 2.7 pixels that are usual in MNIST.
const BRUSH = [[30, "#404040"], [28, "#808080"], [26, "#c0c0c0"], [24, "#ffffff"]];

const pads = new WeakMap();

class Pad {
  constructor(root, side) {
    this.root = root;
    this.side = side;      // of what Python gets
    this.canvas = root.querySelector("canvas");
    this.ratio = Math.min(Math.max(window.devicePixelRatio || 1, 1), 3);
    this.canvas.width = this.canvas.height = Math.round(SIDE * this.ratio);
    this.strokes = [];     // each a list of [x, y] in CSS pixels
    this.before = null;    // a canvas: what was drawn before the pad was put on the page once more
    this.pointer = null;   // the one that draws; other fingers are ignored
    this.send = () => {};

    this.canvas.addEventListener("pointerdown", (event) => this.begin(event));
    this.canvas.addEventListener("pointermove", (event) => this.go(event));
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      this.canvas.addEventListener(end, (event) => this.finish(event));
    }
    root.querySelector("button").addEventListener("click", () => this.clear());
    this.paint();
  }

  begin(event) {
    if (this.pointer !== null || event.button !== 0) return;
    event.preventDefault();  // no selecting, no dragging of the page
    this.pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);  // a stroke may leave the pad and come back
    this.strokes.push([this.place(event)]);
    this.paint();
  }

  go(event) {
    if (event.pointerId !== this.pointer) return;
    const between = event.getCoalescedEvents?.() ?? [];  // a browser reports once a frame, a pen is faster
    this.strokes.at(-1).push(...(between.length ? between : [event]).map((one) => this.place(one)));
    this.paint();
  }

  finish(event) {
    if (event.pointerId !== this.pointer) return;
    this.pointer = null;
    this.send(this.pixels());
  }

  clear() {
    if (this.pointer !== null || !this.drawn) return;
    this.strokes = [];
    this.before = null;
    this.paint();
    this.send("");
  }

  get drawn() { return this.strokes.length > 0 || this.before !== null; }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * SIDE / box.width, (event.clientY - box.top) * SIDE / box.height];
  }

  paint() {
    this.root.classList.toggle("drawn", this.drawn);
    this.render(this.canvas.getContext("2d"), this.canvas.width);
  }

  render(context, width) {
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.globalCompositeOperation = "source-over";
    context.fillStyle = "#000";
    context.fillRect(0, 0, width, width);
    context.setTransform(width / SIDE, 0, 0, width / SIDE, 0, 0);
    if (this.before) context.drawImage(this.before, 0, 0, SIDE, SIDE);
    context.globalCompositeOperation = "lighten";  // the soft edge of one stroke leaves no shadow on another
    context.lineCap = context.lineJoin = "round";
    for (const stroke of this.strokes) {
      const path = smooth(stroke);
      for (const [thickness, color] of BRUSH) {
        context.lineWidth = thickness;
        context.strokeStyle = color;
        context.stroke(path);
      }
    }
  }

  // Base64 of one byte a pixel, drawn afresh in the size that Python wants: sharper than a smaller copy.
  pixels() {
    const small = canvasOf(this.side);
    const context = small.getContext("2d", { willReadFrequently: true });
    this.render(context, this.side);
    const { data } = context.getImageData(0, 0, this.side, this.side);
    return btoa(Array.from({ length: this.side ** 2 }, (_, pixel) => String.fromCharCode(data[4 * pixel])).join(""));
  }

  restore(text) {
    const bytes = atob(text);  // "" where nothing was drawn
    if (bytes.length !== this.side ** 2) return;
    const image = new ImageData(this.side, this.side);
    for (let pixel = 0; pixel < bytes.length; pixel++) {
      image.data.fill(bytes.charCodeAt(pixel), 4 * pixel, 4 * pixel + 3);
      image.data[4 * pixel + 3] = 255;
    }
    this.before = canvasOf(this.side);
    this.before.getContext("2d").putImageData(image, 0, 0);
    this.paint();
  }
}

function canvasOf(side) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  return canvas;
}

// Through the middles between the points, bent towards each of them: no corners where a hand made none.
function smooth(points) {
  const path = new Path2D();
  path.moveTo(...points[0]);
  for (let index = 1; index < points.length - 1; index++) {
    const [x, y] = points[index], [nextX, nextY] = points[index + 1];
    path.quadraticCurveTo(x, y, (x + nextX) / 2, (y + nextY) / 2);
  }
  const [x, y] = points.at(-1);
  path.lineTo(x + 0.01, y);  // a line of no length at all would not be drawn, but a person has made a dot
  return path;
}

export default function ({ parentElement, data, setStateValue }) {
  const root = parentElement.querySelector(".root");
  let pad = pads.get(root);
  if (!pad) {
    pad = new Pad(root, data.side);
    pads.set(root, pad);
    pad.restore(data.pixels);
  }
  const send = (pixels) => setStateValue("pixels", pixels);
  pad.send = send;
  return () => {
    if (pad.send === send) pad.send = () => {};  // not that of a later call: Streamlit may tidy up after it
  };
}
