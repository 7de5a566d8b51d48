// The camera that the visitor moves: an eye, three axes, and a target in front of it to turn around.
//
// Axes are OpenGL's: x right, y up, and z backwards, so that the camera looks along -z.

import { add, between, clamp, columns, cross, dot, length, mixed, quaternion, turned, unit } from "./vectors.js";

const STEEPEST = 1.55; // radians from the horizon: straight up or down has no left and right
const LEVELLING = 0.08; // share of the roll that each movement takes away

export class Camera {
  /** @param start what /info says of the first view: pose, target, up, radius */
  constructor(start, fov) {
    this.worldUp = unit(start.up);
    this.sceneRadius = start.radius;
    this.center = start.target;
    this.place(start.pose, fov, length(add(eyeOf(start.pose), start.target, -1)));
  }

  /** Stand at a pose (16 numbers, row by row); the target lies `distance` ahead. */
  place(pose, fov = this.fov, distance = this.distanceToCenter(pose)) {
    [this.x, this.y, this.z] = [0, 1, 2].map((column) => [pose[column], pose[4 + column], pose[8 + column]]);
    this.eye = eyeOf(pose);
    this.distance = distance;
    this.fov = fov;
  }

  /** How far ahead of a pose the middle of the scene lies: what a visitor will want to turn around. */
  distanceToCenter(pose) {
    const ahead = -dot(add(this.center, eyeOf(pose), -1), [pose[2], pose[6], pose[10]]);
    return ahead > 0.05 * this.sceneRadius ? ahead : this.sceneRadius;
  }

  get pose() {
    const row = (i) => [this.x[i], this.y[i], this.z[i], this.eye[i]];
    return [...row(0), ...row(1), ...row(2), 0, 0, 0, 1];
  }

  get target() {
    return add(this.eye, this.z, -this.distance);
  }

  /** Turn around the target, by angles in radians. */
  orbit(azimuth, elevation) {
    const target = this.target;
    this.turn(azimuth, elevation);
    this.eye = add(target, this.z, this.distance);
  }

  /** Turn the head: the eye stays where it is. */
  turn(azimuth, elevation) {
    const height = Math.asin(clamp(dot(this.z, this.worldUp), -1, 1));
    const wanted = clamp(height + elevation, -STEEPEST, STEEPEST);
    const pitch = Math.abs(wanted) < Math.abs(height) || Math.abs(height) < STEEPEST ? wanted - height : 0;
    this.rotate(this.worldUp, azimuth);
    this.rotate(this.x, -pitch);
    this.level();
  }

  rotate(axis, angle) {
    this.z = unit(turned(this.z, axis, angle));
    this.x = turned(this.x, axis, angle);
    this.x = unit(add(this.x, this.z, -dot(this.x, this.z)));
    this.y = cross(this.z, this.x);
  }

  /** Photographs are seldom taken quite level: let the horizon settle while the visitor turns. */
  level() {
    const horizontal = cross(this.worldUp, this.z);
    if (length(horizontal) < 0.1) return; // looking up or down
    const roll = Math.atan2(dot(cross(this.x, horizontal), this.z), dot(this.x, horizontal));
    this.rotate(this.z, Math.abs(roll) < 1e-3 ? roll : LEVELLING * roll);
  }

  /** Move sideways and up by shares of the height of what is seen at the target. */
  pan(across, upwards) {
    const height = 2 * this.distance * Math.tan(this.fov / 2);
    this.eye = add(add(this.eye, this.x, across * height), this.y, upwards * height);
  }

  zoom(factor) {
    const target = this.target;
    this.distance = clamp(this.distance * factor, 1e-3 * this.sceneRadius, 1e3 * this.sceneRadius);
    this.eye = add(target, this.z, this.distance);
  }

  /** Walk by a distance to the right, up (the world's) and forwards; the target comes along. */
  walk(right, upwards, forwards) {
    this.eye = add(add(add(this.eye, this.x, right), this.worldUp, upwards), this.z, -forwards);
  }

  /** A function of a share in [0, 1] that flies from here to a pose: on an arc around the targets of both. */
  flight(pose, fov) {
    const end = new Camera({ pose, target: this.center, up: this.worldUp, radius: this.sceneRadius }, fov);
    end.place(pose, fov);
    const from = { target: this.target, distance: this.distance, fov: this.fov, turn: quaternion(this.x, this.y, this.z) };
    const to = { target: end.target, distance: end.distance, turn: quaternion(end.x, end.y, end.z) };
    return (share) => {
      if (share >= 1) return this.place(pose, fov, end.distance);
      [this.x, this.y, this.z] = columns(between(from.turn, to.turn, share));
      this.distance = from.distance * (to.distance / from.distance) ** share;
      this.fov = from.fov + share * (fov - from.fov);
      this.eye = add(mixed(from.target, to.target, share), this.z, this.distance);
    };
  }

  /** A function that projects points: [x, y, depth ahead] with x, y in [0, width] x [0, height]. */
  projection(width, height) {
    const focal = height / 2 / Math.tan(this.fov / 2);
    return (point) => {
      const ray = add(point, this.eye, -1);
      const ahead = -dot(ray, this.z);
      return [width / 2 + (focal * dot(ray, this.x)) / ahead, height / 2 - (focal * dot(ray, this.y)) / ahead, ahead];
    };
  }
}

export const eyeOf = (pose) => [pose[3], pose[7], pose[11]];

/** A point given in the axes of a camera with this pose, in the scene. */
export const inScene = (pose, [x, y, z]) =>
  [0, 4, 8].map((row) => pose[row] * x + pose[row + 1] * y + pose[row + 2] * z + pose[row + 3]);

/** The vertical angle of a picture `ratio` times as high, with the same focal length. */
export const widened = (fov, ratio) => 2 * Math.atan(ratio * Math.tan(fov / 2));
