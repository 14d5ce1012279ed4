export { cut, enlarge, widen } from './border';
export { channelSums, gradientSums, line, plane, sumRows } from './batch-norm';
export { addFilterGradient } from './convolution-filter';
export { addInputGradient, packFilter } from './convolution-input';
export { addDepthwiseGradient } from './depthwise';
export { reluGradient, segmentSum } from './elementwise';
export { addMaxPoolGradient } from './pooling';
