/** Activation fused into an operation. */
export type Activation = 'linear' | 'relu';
