import { z } from 'zod';

export const count = z.int().positive();
export const probability = z.number().min(0).max(1);
