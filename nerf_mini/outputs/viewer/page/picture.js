// The canvas with the picture: the last bitmap, scaled to where it belongs, and a photo over its left part.

const ROUNDED = 0.03; // how much the shape of a coarse picture of whole pixels may differ from the window's

export class Picture {
  constructor(canvas, viewer) {
    Object.assign(this, { canvas, viewer, bitmap: null, view: null, photo: null, split: 0.5 });
    this.context = canvas.getContext("2d", { alpha: false });
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.resize();
  }

  resize() {
    const ratio = window.devicePixelRatio;
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight].map((side) => Math.round(side * ratio));
    if (this.canvas.width !== width || this.canvas.height !== height) {
      [this.canvas.width, this.canvas.height] = [Math.max(width, 1), Math.max(height, 1)]; // this clears the canvas
      this.viewer.emit("moved");
    }
    this.paint();
  }

  /** Where a picture of a training view is shown, in pixels of the canvas: whole, beside the panel. */
  rectangle(view) {
    const { width, height } = this.canvas;
    const { aspect } = this.viewer.info.cameras[view];
    const free = this.viewer.freeArea(window.devicePixelRatio);
    const scale = Math.min(free.width / aspect, free.height);
    const [w, h] = [Math.round(scale * aspect), Math.round(scale)];
    const [x, y] = [free.x + (free.width - w) / 2, free.y + (free.height - h) / 2].map(Math.round);
    return { x, y, width: Math.min(w, width), height: Math.min(h, height) };
  }

  /** The size of a picture at full sharpness: that of its place on the screen, as far as wished and allowed. */
  fullSize(view) {
    const { width, height } = view === null ? this.canvas : this.rectangle(view);
    const scale = Math.min(this.viewer.percent / 100, this.viewer.info.most_side / Math.max(width, height));
    return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
  }

  show(bitmap, view) {
    this.bitmap?.close();
    [this.bitmap, this.view] = [bitmap, view];
    this.paint();
  }

  paint() {
    const { context, canvas, bitmap } = this;
    context.fillStyle = getComputedStyle(canvas).backgroundColor;
    context.fillRect(0, 0, canvas.width, canvas.height);
    if (!bitmap) return;
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    if (this.view === null) {
      let width = (canvas.height * bitmap.width) / bitmap.height; // the angle of view is the vertical one
      if (Math.abs(width / canvas.width - 1) < ROUNDED) width = canvas.width;
      context.drawImage(bitmap, (canvas.width - width) / 2, 0, width, canvas.height);
      return;
    }
    const { x, y, width, height } = this.rectangle(this.view);
    context.drawImage(bitmap, x, y, width, height);
    if (!this.photo) return;
    const share = this.split;
    context.save();
    context.beginPath();
    context.rect(x, y, Math.round(width * share), height);
    context.clip();
    context.drawImage(this.photo, x, y, width, height);
    context.restore();
  }
}
