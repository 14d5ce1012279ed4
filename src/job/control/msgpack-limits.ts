/** Limits of a message. A few bytes of MessagePack can stand for very many objects. */
export interface MessageLimits {
  /** Most arrays and maps. */
  containers: number;
  /** Most values of all kinds. */
  values: number;
  /** Most levels of arrays and maps in each other. */
  depth: number;
}

/** Number of bytes that follow the first one of a value, and number of values that it holds. */
interface Shape {
  bytes: number;
  held: number;
  container: boolean;
}

/** MessagePack's format for `undefined`, the one extension that messages here hold. */
const undefinedValue = [0xd4, 0, 0] as const;

/**
 * Goes through a MessagePack value without making any object of it, and throws where it is not one whole value, goes
 * beyond the limits or holds an extension. A value that passes can be decoded in time and memory proportional to the
 * limits and the bytes.
 */
export function checkMessagePack(bytes: Uint8Array, limits: MessageLimits): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const open: number[] = [];
  let left = 1;
  let at = 0;
  let values = 0;
  let containers = 0;
  for (;;) {
    if (left === 0) {
      const above = open.pop();
      if (above === undefined) break;
      left = above;
      continue;
    }
    left--;
    if (at >= bytes.length) throw new RangeError('cut short');
    const { bytes: more, held, container } = shapeOf(view, at);
    at += 1 + more;
    if (at > bytes.length) throw new RangeError('cut short');
    if (++values > limits.values) throw new RangeError(`more than ${limits.values} values`);
    if (!container) continue;
    if (++containers > limits.containers)
      throw new RangeError(`more than ${limits.containers} arrays and maps`);
    if (open.length >= limits.depth) throw new RangeError(`nested more than ${limits.depth} deep`);
    open.push(left);
    left = held;
  }
  if (at !== bytes.length) throw new RangeError('more behind its end');
}

const value = (bytes: number): Shape => ({ bytes, held: 0, container: false });
const array = (bytes: number, held: number): Shape => ({ bytes, held, container: true });
const map = (bytes: number, pairs: number): Shape => array(bytes, 2 * pairs);

function shapeOf(view: DataView, at: number): Shape {
  const type = view.getUint8(at);
  if (type <= 0x7f || type >= 0xe0) return value(0);
  if (type <= 0x8f) return map(0, type & 0x0f);
  if (type <= 0x9f) return array(0, type & 0x0f);
  if (type <= 0xbf) return value(type & 0x1f);
  switch (type) {
    case 0xc0:
    case 0xc2:
    case 0xc3:
      return value(0);
    case 0xc4:
    case 0xd9:
      return value(1 + view.getUint8(at + 1));
    case 0xc5:
    case 0xda:
      return value(2 + view.getUint16(at + 1));
    case 0xc6:
    case 0xdb:
      return value(4 + view.getUint32(at + 1));
    case 0xcc:
    case 0xd0:
      return value(1);
    case 0xcd:
    case 0xd1:
      return value(2);
    case 0xca:
    case 0xce:
    case 0xd2:
      return value(4);
    case 0xcb:
    case 0xcf:
    case 0xd3:
      return value(8);
    case 0xdc:
      return array(2, view.getUint16(at + 1));
    case 0xdd:
      return array(4, view.getUint32(at + 1));
    case 0xde:
      return map(2, view.getUint16(at + 1));
    case 0xdf:
      return map(4, view.getUint32(at + 1));
    default:
      if (undefinedValue.every((byte, index) => view.getUint8(at + index) === byte)) return value(2);
      throw new RangeError(`an extension (0x${type.toString(16)})`);
  }
}
