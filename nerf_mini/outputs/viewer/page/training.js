// A training as it goes: how far, how good, and buttons to pause it and to save.

import { byId } from "./controls.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [260, 72]; // of the curve, in its own units

export class Training {
  constructor(viewer, connection) {
    Object.assign(this, { viewer, connection, history: [], news: {}, showing: null });
    byId("training-section").hidden = !viewer.info.training;
    byId("pause").addEventListener("click", () => this.control(this.news.paused ? "resume" : "pause"));
    byId("save").addEventListener("click", () => this.control("save"));
    connection.addEventListener("news", (event) => this.update(event.detail));
  }

  update(news) {
    const { revision, step, paused, finished } = news;
    const field = [revision, step, paused, finished].join(" ");
    if (this.showing !== null && this.showing !== field) this.viewer.emit("newer");
    this.showing = field;
    this.news = news;
    this.viewer.info.ready = news.ready;
    this.viewer.training = news.training && !paused && !finished;
    this.viewer.emit("news", news);
    if (!this.viewer.info.training) return;
    this.remember(news.history ?? []);
    const state = finished ? "Finished" : paused ? "Paused" : "Running";
    byId("training-state").textContent = state;
    byId("training-section").dataset.state = state.toLowerCase();
    byId("step").textContent = news.step.toLocaleString("en");
    byId("seconds").textContent = duration(news.seconds ?? 0);
    byId("psnr").textContent = number(news.psnr, 2, " dB");
    byId("loss").textContent = Number.isFinite(news.loss) ? news.loss.toExponential(2) : "–";
    byId("pause").textContent = paused ? "Resume" : "Pause";
    byId("pause").disabled = byId("save").disabled = Boolean(finished);
    byId("saved").textContent = news.saved_step ? `Saved at step ${news.saved_step.toLocaleString("en")}` : "";
    this.draw();
  }

  /** The first news after a connection tell all that happened, later ones what came since. */
  remember(points) {
    const last = this.history.at(-1)?.[0] ?? -1;
    if (points.length && points[0][0] <= last) this.history = this.history.filter(([step]) => step < points[0][0]);
    this.history.push(...points);
  }

  async control(action) {
    try {
      await this.connection.ask("control", { action });
      if (action === "resume") this.viewer.emit("moved"); // a large picture on its way would hold the training up
    } catch (error) {
      this.viewer.emit("refused", error.message);
    }
  }

  /** PSNR over steps, as one line. */
  draw() {
    const points = this.history.filter(([, psnr]) => Number.isFinite(psnr));
    const chart = byId("curve");
    chart.hidden = points.length < 2;
    byId("curve-scale").hidden = points.length < 2;
    if (points.length < 2) return;
    const values = points.map(([, psnr]) => psnr);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const [first, last] = [points[0][0], points.at(-1)[0]];
    const x = (step) => (WIDTH * (step - first)) / (last - first || 1);
    const y = (psnr) => HEIGHT - 4 - ((HEIGHT - 8) * (psnr - low)) / (high - low || 1);
    const line = document.createElementNS(SVG, "polyline");
    line.setAttribute("points", points.map(([step, psnr]) => `${x(step).toFixed(1)},${y(psnr).toFixed(1)}`).join(" "));
    chart.replaceChildren(line);
    chart.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    chart.setAttribute("aria-label", `PSNR from ${low.toFixed(1)} to ${high.toFixed(1)} dB over steps ${first} to ${last}`);
    byId("curve-low").textContent = `${low.toFixed(1)} dB`;
    byId("curve-high").textContent = `${high.toFixed(1)} dB`;
    byId("curve-steps").textContent = `PSNR of training views, steps ${first} to ${last}`;
  }
}

const number = (x, digits, unit) => (Number.isFinite(x) ? `${x.toFixed(digits)}${unit}` : "–");
const duration = (s) => (s < 60 ? `${Math.round(s)} s` : `${Math.floor(s / 60)} min ${Math.round(s % 60)} s`);
