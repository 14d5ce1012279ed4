import { evaluate, predict, train, UserError, type ConfigInput } from 'pod-dist';

const config: ConfigInput = {
  epochs: Number(process.argv[2] ?? 10),
  batchSize: 64,
  data: { name: 'image-folder', root: 'images', size: 32 },
  model: { name: 'small-cnn', dim: 64, batchNorm: true },
  learningRate: { schedule: 'cosine', rate: 0.2, warmupEpochs: 1 },
};

try {
  const report = await train(config, {
    outDir: 'runs/from-code',
    onStep: ({ step, loss }) => {
      if (!Number.isFinite(loss)) throw new Error(`the loss of step ${step} is ${loss}`);
    },
    onEpoch: ({ epoch, trainLoss, evalAccuracy }) =>
      console.log(`epoch ${epoch + 1}: loss ${trainLoss.toFixed(3)}, accuracy ${evalAccuracy.toFixed(3)}`),
    onCheckpoint: ({ path }) => console.log(`wrote ${path}`),
  });
  console.log(`${report.evalCorrect} of ${report.evalTotal} test images in ${report.seconds.toFixed(1)} s`);

  const { evaluation } = await evaluate({ checkpoint: 'runs/from-code' });
  console.log(`accuracy ${evaluation.correct / evaluation.total}`);

  const { predictions } = await predict({ checkpoint: 'runs/from-code', images: ['images/test'], top: 1 });
  for (const { file, top } of predictions) console.log(file, top[0]?.class, top[0]?.score.toFixed(3));
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}
