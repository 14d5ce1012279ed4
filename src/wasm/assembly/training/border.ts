/**
 * Copies an image [height, width] of `pixel` bytes each into the middle of a larger one, [.., largeWidth], at
 * (top, left); the border stays as it is. Rows and columns past `height` and `width` are left out.
 */
export function enlarge(
  image: usize,
  large: usize,
  height: i32,
  width: i32,
  row: usize,
  pixel: usize,
  largeWidth: i32,
  top: i32,
  left: i32,
): void {
  large += (<usize>top * largeWidth + left) * pixel;
  for (let y = 0; y < height; y++) {
    memory.copy(large, image, <usize>width * pixel);
    image += row;
    large += <usize>largeWidth * pixel;
  }
}

/** Copies the middle of a larger image back; the inverse of `enlarge`. */
export function cut(
  large: usize,
  image: usize,
  height: i32,
  width: i32,
  row: usize,
  pixel: usize,
  largeWidth: i32,
  top: i32,
  left: i32,
): void {
  large += (<usize>top * largeWidth + left) * pixel;
  for (let y = 0; y < height; y++) {
    memory.copy(image, large, <usize>width * pixel);
    image += row;
    large += <usize>largeWidth * pixel;
  }
}

/** Copies rows of `width` bytes into rows of `wide` bytes; what is between stays as it is. */
export function widen(rows: usize, wide: usize, count: i32, width: usize, wideWidth: usize): void {
  for (let row = 0; row < count; row++) {
    memory.copy(wide, rows, width);
    rows += width;
    wide += wideWidth;
  }
}
