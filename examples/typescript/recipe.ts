import { defineRecipe } from 'pod-dist';

const epochs = 30;
const workers = 2;

/** What grows with the workers follows from their number; an editor completes keys and values. */
export default defineRecipe({
  extends: 'digits',
  name: 'typescript',
  epochs,
  workers,
  batchSize: 48 * workers,
  learningRate: {
    schedule: 'step',
    rate: 0.2,
    epochs: [0.5, 0.75].map((share) => Math.round(share * epochs)),
    warmupEpochs: 3,
  },
});
