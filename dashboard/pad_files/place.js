// A picture and a block on it: dragged, clicked or moved with the arrow keys, and its corner goes to Python on release.
//
// Streamlit calls the function at the end again whenever data or theme change, with the same elements. What belongs to
// a picture is made once and kept here: a rerun must not disturb a block that is being dragged.

const SIDE = 280;  // CSS pixels of the picture's longer side, as in shared.css
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const LEAP = 5;    // pixels a key moves with Shift

const placers = new WeakMap();

class Placer {
  constructor(root) {
    this.stage = root.querySelector(".stage");
    this.picture = root.querySelector(".picture");
    this.block = root.querySelector(".block");
    this.where = root.querySelector(".where");
    this.data = {};
    this.corner = [0, 0];   // row, column of the top left pixel
    this.sent = [0, 0];     // the corner that Python knows
    this.turn = 0;          // counts what was sent, so that answers to earlier turns can be told from the latest
    this.drag = null;       // {pointer, grip: [row, column] within the block, from: the corner before}
    this.send = () => {};

    this.stage.addEventListener("pointerdown", (event) => this.begin(event));
    this.stage.addEventListener("pointermove", (event) => this.go(event));
    this.stage.addEventListener("pointerup", (event) => this.finish(event));
    this.stage.addEventListener("lostpointercapture", (event) => this.finish(event));
    this.stage.addEventListener("pointercancel", (event) => this.finish(event, true));
    this.stage.addEventListener("keydown", (event) => this.press(event));
    this.stage.addEventListener("keyup", () => this.drag || this.report());
    this.stage.addEventListener("blur", () => this.drag || this.report());
  }

  update(data) {
    const known = this.data;
    this.data = data;
    if (data.image !== known.image || `${data.shape}` !== `${known.shape}`) this.paintPicture();
    if (data.size !== known.size || data.value !== known.value) this.paintBlock();
    // Python may answer to an earlier turn while the next is on its way, or the block in somebody's hand.
    const still = !this.drag && `${this.corner}` === `${this.sent}`;
    const latest = still && data.turn >= this.turn;
    if (latest) this.turn = data.turn;
    this.move(latest ? data.corner : this.corner);
    if (still) this.sent = this.corner;  // moved inside, as Python does
  }

  begin(event) {
    if (this.drag || event.button !== 0 || !this.data.size) return;
    const at = this.place(event), { size } = this.data;
    const grip = at.map((value, axis) => value - this.corner[axis]);
    const inside = grip.every((value) => value >= 0 && value < size);
    this.stage.setPointerCapture(event.pointerId);
    this.drag = { pointer: event.pointerId, grip: inside ? grip : [size / 2, size / 2], from: this.corner };
    this.stage.classList.add("dragged");
    this.go(event);
  }

  go(event) {
    if (event.pointerId !== this.drag?.pointer) return;
    this.move(this.place(event).map((value, axis) => Math.round(value - this.drag.grip[axis])));
  }

  finish(event, back = false) {
    if (event.pointerId !== this.drag?.pointer) return;
    if (back) this.move(this.drag.from);
    this.drag = null;
    this.stage.classList.remove("dragged");
    this.report();
  }

  press(event) {
    if (event.key === "Escape" && this.drag) {
      this.finish({ pointerId: this.drag.pointer }, true);
      return;
    }
    const step = STEPS[event.key];
    if (!step || this.drag || !this.data.size || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();  // the page doesn't scroll
    this.move(this.corner.map((value, axis) => value + step[axis] * (event.shiftKey ? LEAP : 1)));
  }

  // Once for a drag, and once for a key however long it was held.
  report() {
    if (`${this.corner}` === `${this.sent}`) return;
    this.sent = this.corner;
    this.turn += 1;
    this.send({ corner: this.corner, turn: this.turn });
  }

  // Row and column under the pointer, with fractions.
  place(event) {
    const box = this.stage.getBoundingClientRect(), [height, width] = this.data.shape;
    return [(event.clientY - box.top) * height / box.height, (event.clientX - box.left) * width / box.width];
  }

  move(corner) {
    const { shape, size } = this.data;
    this.corner = corner.map((value, axis) => Math.min(Math.max(value, 0), shape[axis] - size));
    const [row, column] = this.corner;
    this.block.style.top = `${100 * row / shape[0]}%`;
    this.block.style.left = `${100 * column / shape[1]}%`;
    const words = size ? `row ${row}, column ${column}` : "";
    if (this.where.textContent !== words) this.where.textContent = words;  // said once by a screen reader
  }

  paintPicture() {
    const { image, shape: [height, width] } = this.data, longest = Math.max(height, width);
    this.stage.style.width = `${SIDE * width / longest}px`;
    this.stage.style.height = `${SIDE * height / longest}px`;
    const bytes = atob(image);
    paint(this.picture, height, width, (pixel) => bytes.charCodeAt(pixel));
    this.paintBlock();
  }

  paintBlock() {
    const { size, value, shape: [height, width], mark } = this.data;
    this.block.hidden = !size;
    if (!size) return;
    this.block.style.setProperty("--mark", mark);
    this.block.style.width = `${100 * size / width}%`;
    this.block.style.height = `${100 * size / height}%`;
    this.block.classList.toggle("random", value === null);
    let seed = 1;  // the same noise each time: it stands for any
    const noise = () => { seed = seed * 16807 % 2147483647; return seed / 2147483647; };
    paint(this.block.firstChild, size, size, () => 255 * (value ?? noise()));
  }
}

function paint(canvas, height, width, grey) {
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  for (let pixel = 0; pixel < height * width; pixel++) {
    image.data.fill(Math.round(grey(pixel)), 4 * pixel, 4 * pixel + 3);
    image.data[4 * pixel + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

export default function ({ parentElement, data, setStateValue }) {
  const root = parentElement.querySelector(".root");
  const placer = placers.get(root) ?? new Placer(root);
  placers.set(root, placer);
  const send = (placed) => setStateValue("placed", placed);
  placer.send = send;
  placer.update(data);
  return () => {
    if (placer.send === send) placer.send = () => {};  // not that of a later call: Streamlit may tidy up after it
  };
}
