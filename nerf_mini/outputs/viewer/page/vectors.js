// Vectors of three numbers and rotations, as plain arrays.

export const add = (a, b, times = 1) => [a[0] + times * b[0], a[1] + times * b[1], a[2] + times * b[2]];
export const scaled = (a, factor) => a.map((x) => factor * x);
export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
export const length = (a) => Math.hypot(...a);
export const unit = (a) => scaled(a, 1 / length(a));
export const mixed = (a, b, share) => a.map((x, i) => x + share * (b[i] - x));
export const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

/** A vector turned about a unit axis (Rodrigues' formula). */
export function turned(v, axis, angle) {
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  return add(add(scaled(v, c), cross(axis, v), s), axis, (1 - c) * dot(axis, v));
}

/** Unit quaternion [w, x, y, z] of the rotation whose matrix has these three columns. */
export function quaternion(x, y, z) {
  const squares = [1 + x[0] + y[1] + z[2], 1 + x[0] - y[1] - z[2], 1 - x[0] + y[1] - z[2], 1 - x[0] - y[1] + z[2]];
  const largest = squares.indexOf(Math.max(...squares)); // each square is 4 q_i^2: divide by the safest
  const rows = [
    [squares[0], y[2] - z[1], z[0] - x[2], x[1] - y[0]],
    [y[2] - z[1], squares[1], x[1] + y[0], z[0] + x[2]],
    [z[0] - x[2], x[1] + y[0], squares[2], y[2] + z[1]],
    [x[1] - y[0], z[0] + x[2], y[2] + z[1], squares[3]],
  ];
  return unit(rows[largest]);
}

/** The three columns of the rotation of a unit quaternion. */
export function columns([w, x, y, z]) {
  return [
    [1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)],
    [2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)],
    [2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)],
  ];
}

/** The rotation a share of the shorter way from one to the other, at even speed (slerp). */
export function between(from, to, share) {
  let cosine = from.reduce((sum, value, i) => sum + value * to[i], 0);
  const end = cosine < 0 ? scaled(to, -1) : to; // q and -q are the same rotation
  cosine = Math.min(Math.abs(cosine), 1);
  const angle = Math.acos(cosine);
  if (angle < 1e-4) return unit(mixed(from, end, share));
  const [a, b] = [Math.sin((1 - share) * angle), Math.sin(share * angle)];
  return unit(from.map((value, i) => a * value + b * end[i]));
}
