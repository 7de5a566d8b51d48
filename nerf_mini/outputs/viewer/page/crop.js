// The crop box: where its middle lies and how long its sides are. Only what is inside of it is rendered.

import { bindCheck, bindRange, byId } from "./controls.js";

const AXES = ["x", "y", "z"];

export class CropBox {
  constructor(viewer) {
    this.viewer = viewer;
    this.largest = viewer.info.crop;
    byId("crop-section").hidden = !this.largest;
    if (!this.largest) return;
    this.box = copied(this.largest);
    this.rows = AXES.flatMap((axis, i) => [this.row("center", axis, i), this.row("sides", axis, i)]);
    bindCheck(byId("crop"), false, (on) => this.change(on));
    byId("crop-reset").addEventListener("click", () => this.reset());
    this.show();
  }

  /** One slider: the middle may be anywhere in the largest box, a side is at most as long as its. */
  row(what, axis, i) {
    const input = byId(`crop-${what}-${axis}`);
    const [middle, side] = [this.largest.center[i], this.largest.sides[i]];
    const [low, high] = what === "center" ? [middle - side / 2, middle + side / 2] : [side / 100, side];
    Object.assign(input, { min: low, max: high, step: side / 200 });
    const digits = Math.max(0, 2 - Math.floor(Math.log10(side)));
    const show = bindRange(input, this.box[what][i], (x) => (Math.abs(x) < 0.5 * 10 ** -digits ? 0 : x).toFixed(digits), (x) => {
      this.box[what][i] = x;
      byId("crop").checked = true;
      this.change(true);
    });
    return () => show(this.box[what][i]);
  }

  change(on) {
    this.viewer.crop = on ? copied(this.box) : null;
    byId("crop-reset").disabled = !on;
    this.viewer.emit("moved");
  }

  reset() {
    this.box = copied(this.largest);
    byId("crop").checked = false;
    this.show();
    this.change(false);
  }

  show() {
    for (const row of this.rows) row();
  }
}

const copied = ({ center, sides }) => ({ center: [...center], sides: [...sides] });
