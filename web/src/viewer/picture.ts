// The picture of the slice in view: what is kept is drawn at once, what is not is fetched while the old one stays.
import { useEffect, useMemo, useRef, useState, type RefObject } from 'react';
import { SliceLoader, sliceAddress, type Look, type Quality, type Window } from './slices';
import type { SliceStack } from './stack';

export type QualityChoice = Quality | 'auto';

interface PictureOptions {
  canvas: RefObject<HTMLCanvasElement | null>;
  base: string;
  stack: SliceStack | undefined;
  index: number;
  window: Window;
  overlay: boolean;
  choice: QualityChoice;
}

export interface PictureState { quality: Quality; loading: boolean; error: unknown; retry: () => void }

function draw(canvas: HTMLCanvasElement | null, picture: ImageBitmap): void {
  if (!canvas) return;
  canvas.width = picture.width;
  canvas.height = picture.height;
  canvas.getContext('2d')?.drawImage(picture, 0, 0);
}

export function usePicture({ canvas, base, stack, index, window, overlay, choice }: PictureOptions): PictureState {
  const loader = useMemo(() => new SliceLoader(), []);
  const [state, setState] = useState<{ quality: Quality; loading: boolean; error: unknown }>({ quality: 'high', loading: true, error: undefined });
  const [attempt, setAttempt] = useState(0);
  const turn = useRef(0);
  const { center, width } = window;

  useEffect(() => () => loader.dispose(), [loader]);

  useEffect(() => {
    const slice = stack?.slices[index];
    if (!slice || !base) return;
    const mine = ++turn.current;
    const current = () => turn.current === mine;
    const quality = choice === 'auto' ? loader.quality() : choice;
    const look: Look = { window: { center, width }, quality, overlay };
    const addressAt = (at: number) => {
      const uid = stack.slices[at]?.uid;
      return uid ? sliceAddress(base, uid, look) : undefined;
    };
    const address = sliceAddress(base, slice.uid, look);
    const wanted = Array.from({ length: 11 }, (_, step) => addressAt(index - 5 + step)).filter((one) => one !== undefined);
    loader.keepOnly(new Set(wanted));
    if (!loader.peek(address)) setState((before) => ({ ...before, quality, loading: true }));
    void loader.load(address, quality).then(
      (picture) => {
        if (!current()) return;
        draw(canvas.current, picture);
        setState({ quality, loading: false, error: undefined });
        void loader.ahead(addressAt, index, quality, current);
      },
      (error: unknown) => {
        const given = error instanceof DOMException && error.name === 'AbortError';
        if (current() && !given) setState({ quality, loading: false, error });
      },
    );
  }, [loader, canvas, base, stack, index, center, width, overlay, choice, attempt]);

  return { ...state, retry: () => setAttempt((before) => before + 1) };
}
