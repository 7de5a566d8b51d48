// What the page says about itself: a line in the corner, and a banner when something is amiss.

import { byId } from "./controls.js";

const REFUSAL = 6000; // ms that a refusal stays

export class Status {
  constructor(viewer, connection) {
    Object.assign(this, { viewer, connection, lost: false, refused: null, shown: false });
    viewer.on("frame", (frame) => this.frame(frame));
    viewer.on("moved news", () => this.banner());
    viewer.on("refused", (sentence) => this.refuse(sentence));
    connection.addEventListener("lost", (event) => this.loss(event.detail));
    connection.addEventListener("back", () => this.loss(null));
    byId("retry").addEventListener("click", () => connection.hurry?.());
    this.banner();
  }

  frame({ width, height, ms, final, step }) {
    this.shown = true;
    const sharp = final ? "sharp" : "sharpening";
    byId("status").textContent = `${width} × ${height} · ${time(ms)} · step ${step.toLocaleString("en")}`;
    byId("status").dataset.state = sharp;
    byId("run-step").textContent = `step ${step.toLocaleString("en")}`;
    this.banner();
  }

  loss(seconds) {
    this.lost = seconds !== null;
    this.banner();
  }

  refuse(sentence) {
    this.refused = sentence;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.refuse(null), REFUSAL);
    this.banner();
  }

  /** The most important of what there is to say, if anything. */
  banner() {
    const compiling = "Compiling for this machine. The first picture takes half a minute, once.";
    const text = this.lost
      ? "The connection is lost. The page goes on by itself as soon as the program runs again."
      : this.refused ?? (this.shown ? null : this.viewer.info.ready ? "Rendering the first picture." : compiling);
    byId("banner").hidden = text === null;
    if (text !== null && byId("banner-text").textContent !== text) byId("banner-text").textContent = text;
    byId("banner").classList.toggle("calm", !this.lost && this.refused === null);
    byId("retry").hidden = !this.lost;
  }
}

const time = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);
