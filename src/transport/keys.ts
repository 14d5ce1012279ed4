import { createPrivateKey, createPublicKey, hkdfSync } from 'node:crypto';

/** A CURVE key pair, in the Z85 text that ZeroMQ takes. */
export interface KeyPair {
  publicKey: string;
  secretKey: string;
}

/** ASN.1 of a PKCS #8 private key of X25519 (RFC 8410), up to the 32 bytes of the key itself. */
const pkcs8Prefix = Buffer.from('302e020100300506032b656e04220420', 'hex');
const keyBytes = 32;

/**
 * A key that only those who know `secret` can make, by HKDF-SHA256 (RFC 5869). Each `purpose` has its own: one key says
 * nothing about another.
 */
export function deriveKey(secret: string, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, 'pod-dist', purpose, keyBytes));
}

/**
 * The CURVE key pair of `secret` for one purpose. CURVE never sends a server's public key, and without it a client
 * cannot finish the handshake: whoever does not know `secret` gets no connection.
 */
export function deriveKeyPair(secret: string, purpose: string): KeyPair {
  const key = deriveKey(secret, purpose);
  return { publicKey: encodeZ85(publicKeyOf(key)), secretKey: encodeZ85(key) };
}

function publicKeyOf(secretKey: Buffer): Buffer {
  const key = createPrivateKey({
    key: Buffer.concat([pkcs8Prefix, secretKey]),
    format: 'der',
    type: 'pkcs8',
  });
  return createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-keyBytes);
}

const z85Digits = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#';

/** Z85 (ZeroMQ RFC 32): four bytes are five digits to base 85. */
function encodeZ85(bytes: Buffer): string {
  let text = '';
  for (let offset = 0; offset < bytes.length; offset += 4) {
    const value = bytes.readUInt32BE(offset);
    for (let power = 85 ** 4; power >= 1; power /= 85) text += z85Digits[Math.floor(value / power) % 85];
  }
  return text;
}
