// What is drawn over the picture: training cameras as frusta with their pictures, the crop box, the camera path.

import { eyeOf, inScene } from "./camera.js";
import { fetchPicture } from "./connection.js";
import { add, length } from "./vectors.js";

const REACH = 14; // pixels around the middle of a frustum that still mean it
const AT_ONCE = 2; // thumbnails on their way: the picture itself comes first
const IN_FRONT = 0.85; // share of the distance to the target; nearer cameras are faint
const OUTLINE = "rgba(0, 0, 0, 0.25)"; // under every line, so that it shows on any background
const EDGES = [[0, 1], [1, 3], [3, 2], [2, 0], [4, 5], [5, 7], [7, 6], [6, 4], [0, 4], [1, 5], [2, 6], [3, 7]];

export class Overlay {
  constructor(canvas, viewer) {
    Object.assign(this, { canvas, viewer, context: canvas.getContext("2d"), hovered: null, drawn: [], waiting: false });
    this.shown = { cameras: true, pictures: true, splits: new Set(viewer.info.cameras.map((camera) => camera.split)) };
    this.path = { keyframes: [], poses: [], shown: false, aspect: 1 };
    this.thumbs = new Thumbs(() => this.redraw());
    this.frusta = frusta(viewer.info);
    viewer.on("moved view settings", () => this.redraw());
    new ResizeObserver(() => this.redraw()).observe(canvas);
  }

  /** After the cameras have changed. */
  renew() {
    this.frusta = frusta(this.viewer.info);
    this.redraw();
  }

  /** Draw before the next refresh of the screen, however often this is asked for. */
  redraw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
  }

  draw() {
    const { canvas, context, viewer } = this;
    const [width, height, ratio] = [canvas.clientWidth, canvas.clientHeight, window.devicePixelRatio];
    [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.lineJoin = context.lineCap = "round";
    this.drawn = [];
    this.style = getComputedStyle(canvas);
    if (viewer.view !== null && viewer.comparing) return; // nothing between the eye and the photo
    this.project = viewer.camera.projection(width, height);
    if (this.shown.cameras && !viewer.playing) this.drawCameras(width, height);
    if (viewer.crop) this.drawBox(viewer.crop);
    if (this.path.shown) this.drawPath(width, height);
  }

  color(name) {
    return this.style.getPropertyValue(`--${name}`) || this.style.color; // splits may have any name
  }

  /** A line between two points of the scene, without what lies behind the eye. */
  line(a, b) {
    const near = 1e-3 * this.viewer.info.start.radius;
    let [p, q] = [this.project(a), this.project(b)];
    if (p[2] < near && q[2] < near) return;
    if (p[2] < near) p = this.project(add(b, add(a, b, -1), (q[2] - near) / (q[2] - p[2])));
    if (q[2] < near) q = this.project(add(a, add(b, a, -1), (p[2] - near) / (p[2] - q[2])));
    this.context.moveTo(p[0], p[1]);
    this.context.lineTo(q[0], q[1]);
  }

  stroke(color, width, trace) {
    const { context } = this;
    context.beginPath();
    trace();
    [context.strokeStyle, context.lineWidth] = [OUTLINE, width + 1.5];
    context.stroke();
    [context.strokeStyle, context.lineWidth] = [color, width];
    context.stroke();
  }

  drawCameras(width, height) {
    const { viewer, project, shown, context } = this;
    for (const frustum of this.frusta) {
      if (!shown.splits.has(frustum.camera.split) || frustum.camera.index === viewer.view) continue;
      const corners = frustum.points.map(project);
      const depth = Math.min(...corners.map((corner) => corner[2]));
      if (depth < 1.2 * frustum.size) continue; // behind the eye, or so near that it would hide the scene
      const middle = [0, 1].map((i) => corners.slice(1).reduce((sum, corner) => sum + corner[i] / 4, 0));
      if (middle[0] < -50 || middle[1] < -50 || middle[0] > width + 50 || middle[1] > height + 50) continue;
      this.drawn.push({ ...frustum, corners, depth, middle });
    }
    this.drawn.sort((a, b) => b.depth - a.depth);
    for (const item of this.drawn) this.drawFrustum(item, item.camera === this.hovered);
    context.globalAlpha = 1;
  }

  drawFrustum({ camera, corners, depth }, emphasised) {
    const { context } = this;
    const [eye, ...base] = corners;
    const infront = depth < IN_FRONT * this.viewer.camera.distance; // of what one looks at
    context.globalAlpha = emphasised ? 1 : infront ? 0.3 : 0.9;
    const image = this.shown.pictures && camera.photo && this.thumbs.get(camera.index);
    if (image) {
      context.save();
      const [origin, right, below] = base;
      const [w, h] = [image.width, image.height];
      const axes = [right[0] - origin[0], right[1] - origin[1], below[0] - origin[0], below[1] - origin[1]];
      context.transform(axes[0] / w, axes[1] / w, axes[2] / h, axes[3] / h, origin[0], origin[1]);
      context.drawImage(image, 0, 0);
      context.restore();
    }
    this.stroke(this.color(`split-${camera.split}`), emphasised ? 2.5 : 1.25, () => {
      for (const [i, j] of [[0, 1], [1, 3], [3, 2], [2, 0]]) {
        context.moveTo(base[i][0], base[i][1]);
        context.lineTo(base[j][0], base[j][1]);
      }
      for (const corner of base) {
        context.moveTo(eye[0], eye[1]);
        context.lineTo(corner[0], corner[1]);
      }
    });
  }

  drawBox({ center, sides }) {
    const corner = (bits) => center.map((c, i) => c + ((bits >> i) & 1 ? 0.5 : -0.5) * sides[i]);
    this.stroke(this.color("crop"), 1.5, () => EDGES.forEach(([a, b]) => this.line(corner(a), corner(b))));
  }

  drawPath(width, height) {
    const { context, path, project } = this;
    const eyes = path.poses.map(eyeOf);
    const { playing } = this.viewer;
    if (!playing && eyes.length > 1)
      this.stroke(this.color("path"), 2, () => eyes.slice(1).forEach((eye, i) => this.line(eyes[i], eye)));
    path.keyframes.forEach(({ pose }, i) => {
      const [x, y, ahead] = project(eyeOf(pose));
      if (playing || ahead < 0.02 * this.viewer.info.start.radius) return;
      this.stroke(this.color("path"), 14, () => context.arc(x, y, 1, 0, 7));
      context.fillStyle = "#000";
      context.font = "600 11px system-ui";
      context.textAlign = "center";
      context.fillText(i + 1, x, y + 4);
    });
    this.drawGuide(width, height, path.aspect);
  }

  /** What lies outside of the video's picture, a little darker. */
  drawGuide(width, height, aspect) {
    const [w, h] = [Math.min(width, height * aspect), Math.min(height, width / aspect)];
    const frame = new Path2D();
    frame.rect(0, 0, width, height);
    frame.rect((width - w) / 2, (height - h) / 2, w, h);
    this.context.fillStyle = "rgba(0, 0, 0, 0.3)";
    this.context.fill(frame, "evenodd");
  }

  /** The camera under a point of the window, the nearest one to the eye first; or null. */
  cameraAt(x, y) {
    const hit = this.drawn.findLast(({ corners, middle }) => {
      const quad = new Path2D();
      [1, 2, 4, 3].forEach((i) => quad.lineTo(corners[i][0], corners[i][1]));
      const inside = this.context.isPointInPath(quad, x * window.devicePixelRatio, y * window.devicePixelRatio);
      return inside || Math.hypot(x - middle[0], y - middle[1]) < REACH;
    });
    return hit?.camera ?? null;
  }

  hover(camera) {
    if (camera === this.hovered) return;
    this.hovered = camera;
    this.redraw();
  }
}

/** What a camera is called: some data sets number views, others name them by file. */
export const label = ({ split, name }) => (name.startsWith(split) ? name : `${split} · ${name}`);

/** Frusta of all cameras, as [eye, top left, top right, bottom left, bottom right] in the scene, of one size. */
function frusta({ cameras, start }) {
  const eyes = cameras.map((camera) => eyeOf(camera.pose));
  const nearest = eyes.map((eye) => Math.min(...eyes.map((other) => length(add(eye, other, -1)) || Infinity)));
  const gap = nearest.sort((a, b) => a - b)[nearest.length >> 1];
  const size = Math.min(Math.max(0.5 * (gap || 0), 0.03 * start.radius), 0.12 * start.radius);
  return cameras.map((camera) => {
    const half = Math.tan(Math.min(camera.fov, 2.4) / 2);
    const ahead = size / (2 * half * Math.hypot(1, camera.aspect)); // the base's diagonal is `size`
    const corners = [[-1, 1], [1, 1], [-1, -1], [1, -1]].map(([x, y]) => [x * half * camera.aspect * ahead, y * half * ahead, -ahead]);
    return { camera, size, points: [[0, 0, 0], ...corners].map((point) => inScene(camera.pose, point)) };
  });
}

/** Small pictures of the views, fetched a few at a time when they are first looked for. */
class Thumbs {
  constructor(arrived) {
    Object.assign(this, { arrived, images: new Map(), queue: [], busy: 0 });
  }

  get(index) {
    if (!this.images.has(index)) {
      this.images.set(index, null);
      this.queue.push(index);
      this.next();
    }
    return this.images.get(index);
  }

  async next() {
    if (this.busy >= AT_ONCE || !this.queue.length) return;
    const index = this.queue.shift();
    this.busy++;
    const bitmap = await fetchPicture(`thumb/${index}`).catch(() => null); // without one, an empty frustum
    this.images.set(index, bitmap);
    this.busy--;
    this.arrived();
    this.next();
  }
}
