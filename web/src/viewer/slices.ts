// Pictures of slices, rendered by the server: asked for once, kept for a while, the neighbours fetched ahead. What is no
// longer looked at is given up, so that a weak line carries only what the reader waits for.
import { call } from '../fhir';

export type Quality = 'high' | 'medium' | 'low';
export interface Window { center: number; width: number }
export interface Look { window: Window; quality: Quality; overlay: boolean }

const KEPT_MAX = 80;
const AHEAD = 5;
const AT_ONCE = 2;

/** Below these rates (bytes a second) automatic quality steps down. */
const FAST_LINE = 600_000;
const SLOW_LINE = 120_000;

const SIZES: Record<Quality, string> = { high: '', medium: '&viewport=512,512&quality=80', low: '&viewport=320,320&quality=60' };

export const isLossy = (quality: Quality): boolean => quality !== 'high';

export function sliceAddress(base: string, uid: string, look: Look): string {
  const { center, width } = look.window;
  const overlay = look.overlay ? '&overlay=mask' : '';
  return `${base}/instances/${uid}/rendered?window=${Math.round(center)},${Math.max(1, Math.round(width))},linear${SIZES[look.quality]}${overlay}`;
}

export class SliceLoader {
  private readonly kept = new Map<string, ImageBitmap>();
  private readonly asked = new Map<string, { promise: Promise<ImageBitmap>; abort: AbortController }>();
  private rate = Infinity;

  /** What the measured line can carry. */
  quality(): Quality {
    if (this.rate > FAST_LINE) return 'high';
    return this.rate > SLOW_LINE ? 'medium' : 'low';
  }

  peek(address: string): ImageBitmap | undefined {
    return this.kept.get(address);
  }

  load(address: string, quality: Quality): Promise<ImageBitmap> {
    const kept = this.kept.get(address);
    if (kept) return Promise.resolve(kept);
    const asked = this.asked.get(address);
    if (asked) return asked.promise;
    const abort = new AbortController();
    const promise = this.fetch(address, quality, abort.signal).finally(() => this.asked.delete(address));
    this.asked.set(address, { promise, abort });
    return promise;
  }

  private async fetch(address: string, quality: Quality, signal: AbortSignal): Promise<ImageBitmap> {
    const started = performance.now();
    const accept = isLossy(quality) ? 'image/jpeg' : 'image/png';
    const response = await call(address, { headers: { Accept: accept }, signal });
    const blob = await response.blob();
    this.measure(blob.size, performance.now() - started);
    const picture = await createImageBitmap(blob);
    this.keep(address, picture);
    return picture;
  }

  private measure(bytes: number, milliseconds: number): void {
    if (milliseconds < 5) return; // from the browser's own store
    const rate = (bytes * 1000) / milliseconds;
    this.rate = this.rate === Infinity ? rate : this.rate * 0.7 + rate * 0.3;
  }

  private keep(address: string, picture: ImageBitmap): void {
    this.kept.set(address, picture);
    for (const [oldest, old] of this.kept) {
      if (this.kept.size <= KEPT_MAX) break;
      this.kept.delete(oldest);
      old.close();
    }
  }

  /** Gives up every request but these. */
  keepOnly(addresses: Set<string>): void {
    for (const [address, { abort }] of this.asked) if (!addresses.has(address)) abort.abort();
  }

  /** Fetches the neighbours, nearest first, two at a time; stops when the reader has moved on. */
  async ahead(addressAt: (index: number) => string | undefined, index: number, quality: Quality, current: () => boolean): Promise<void> {
    const order = Array.from({ length: AHEAD }, (_, step) => [index + step + 1, index - step - 1]).flat();
    const next = order.map(addressAt).filter((address): address is string => address !== undefined);
    const work = async () => {
      for (let address = next.shift(); address && current(); address = next.shift()) {
        await this.load(address, quality).catch(() => undefined);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  }

  dispose(): void {
    this.keepOnly(new Set());
    for (const picture of this.kept.values()) picture.close();
    this.kept.clear();
  }
}
