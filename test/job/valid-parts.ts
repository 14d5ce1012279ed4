/** Totals of an evaluation of one image with two classes. */
export const totals = {
  total: 1,
  correct: 1,
  classTotal: [1, 0],
  classCorrect: [1, 0],
  confusion: [1, 0, 0, 0, 0, 0],
  cosineSum: 1,
};

/** Times of one rank in an epoch. */
export const times = { images: 1, seconds: 1, loaderSeconds: 0, exposedSeconds: 0 };
