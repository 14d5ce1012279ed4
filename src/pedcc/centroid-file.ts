import { UserError } from '../util/errors.js';
import { readRegularFile } from '../util/regular-file.js';

const mostBytes = 2 ** 33;
/** How much longer or shorter than 1 a centroid may be. */
const tolerance = 1e-3;

const header =
  /^\{'descr': '<(f4|f8)', 'fortran_order': (True|False), 'shape': \((\d{1,9}), (\d{1,9})\), \}\s*$/;

interface Wanted {
  /** Classes of the data set: a row each, at least. */
  classes: number;
  dim: number;
}

/**
 * Centroids of a `.npy` file of NumPy's (float32 or float64): a row a class, unit vectors; further rows are for classes to come.
 *
 * @returns [rows, dim], row-major
 * @throws UserError `FILE_UNUSABLE`, or `CENTROIDS_INVALID` with what is wrong
 */
export function readCentroidFile(file: string, { classes, dim }: Wanted): Float32Array {
  const bytes = readRegularFile(file, { mostBytes });
  const refuse = (what: string) => new UserError('CENTROIDS_INVALID', `centroids.file ${file} ${what}`);
  const isLong = (bytes[6] ?? 0) > 1;
  const start = isLong ? 12 : 10;
  if (bytes.length < start || bytes.toString('latin1', 0, 6) !== '\x93NUMPY')
    throw refuse('is no .npy file: write it with numpy.save');
  const end = start + (isLong ? bytes.readUInt32LE(8) : bytes.readUInt16LE(8));
  const [, type, turned, ...sides] = header.exec(bytes.toString('latin1', start, end)) ?? [];
  const [rows = 0, columns = 0] = sides.map(Number);
  if (type === undefined) throw refuse('holds no matrix of float32 or float64: save array.astype("float32")');
  if (columns !== dim) throw refuse(`has ${columns} columns, model.dim is ${dim}`);
  if (rows < classes) throw refuse(`has ${rows} rows, the data set ${classes} classes`);
  const size = type === 'f4' ? 4 : 8;
  if (bytes.length !== end + size * rows * columns) throw refuse('ends early, or late');
  const view = new DataView(bytes.buffer, bytes.byteOffset + end);
  const values = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    let square = 0;
    for (let column = 0; column < columns; column++) {
      const at = size * (turned === 'True' ? column * rows + row : row * columns + column);
      const value = size === 4 ? view.getFloat32(at, true) : view.getFloat64(at, true);
      if (!Number.isFinite(value)) throw refuse(`has ${value} in row ${row}, column ${column}`);
      values[row * columns + column] = value;
      square += value * value;
    }
    if (Math.abs(Math.sqrt(square) - 1) > tolerance)
      throw refuse(`has a row ${row} of length ${Math.sqrt(square).toFixed(4)}: centroids are unit vectors`);
  }
  return values;
}
