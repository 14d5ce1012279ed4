/** Parameters of each layer (a convolution or dense layer with its batch norm), first layer first. */
export const layerSizes: Readonly<Record<'resnet20' | 'resnet50', readonly number[]>> = {
  resnet20: resnet20(),
  resnet50: resnet50(),
};

/** Convolution without bias, then scale and offset of its batch norm. */
function convolution(size: number, inputs: number, outputs: number): number {
  return size * size * inputs * outputs + 2 * outputs;
}

/** ResNet-50 (arXiv 1512.03385) for 1,000 classes: 25,557,032 parameters. */
function resnet50(): number[] {
  const layers = [convolution(7, 3, 64)];
  let inputs = 64;
  for (const [blocks, width] of [
    [3, 64],
    [4, 128],
    [6, 256],
    [3, 512],
  ]) {
    for (let block = 0; block < blocks; block++) {
      if (block === 0) layers.push(convolution(1, inputs, 4 * width));
      layers.push(
        convolution(1, inputs, width),
        convolution(3, width, width),
        convolution(1, width, 4 * width),
      );
      inputs = 4 * width;
    }
  }
  return [...layers, inputs * 1000 + 1000];
}

/** ResNet-20 for 10 classes, with projections where a stage changes the width. */
function resnet20(): number[] {
  const layers = [convolution(3, 3, 16)];
  let inputs = 16;
  for (const width of [16, 32, 64]) {
    for (let block = 0; block < 3; block++) {
      if (inputs !== width) layers.push(convolution(1, inputs, width));
      layers.push(convolution(3, inputs, width), convolution(3, width, width));
      inputs = width;
    }
  }
  return [...layers, inputs * 10 + 10];
}
