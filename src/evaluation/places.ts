/** `Comparison.place` of an image whose own class is not among the first. */
export const beyondPlaces = 255;

/** How many of the best classes of an image are distinguished: 5, or fewer if there are at most 5 classes. */
export function placesOf(classes: number): number {
  return Math.max(1, Math.min(5, classes - 1));
}
