// A viewer that goes where a colleague's goes: series, slice, window, and the part of the picture in view. Moves are told
// in parts of the picture, so that they fit a screen of any size.
import { useEffect, useState, type RefObject } from 'react';
import type { Window } from './slices';
import type { SliceStack } from './stack';

export interface ViewPlace {
  series: string; slice: string; center: number; width: number; zoom: number; x: number; y: number;
  /** Where the hand is, from 0 to 1 over the picture. */
  atX?: number; atY?: number;
}

/** The size of the whole picture on the stage at 100 %. */
export function pictureBox(stage: HTMLElement | null, canvas: HTMLCanvasElement | null): { width: number; height: number } {
  const [wide, high] = [stage?.clientWidth || 1, stage?.clientHeight || 1];
  const ratio = canvas && canvas.height > 0 ? canvas.width / canvas.height : 1;
  return { width: Math.min(wide, high * ratio), height: Math.min(high, wide / ratio) };
}

interface Where {
  lead: ViewPlace | undefined;
  stack: SliceStack | undefined;
  seriesUid: string | undefined;
  stage: RefObject<HTMLElement | null>;
  canvas: RefObject<HTMLCanvasElement | null>;
}

interface Moves {
  setSeriesUid: (uid: string) => void;
  setIndex: (index: number) => void;
  setWindow: (window: Window) => void;
  setPlace: (place: { zoom: number; x: number; y: number }) => void;
}

/** Gives where the colleague's hand is on this stage. */
export function useLead({ lead, stack, seriesUid, stage, canvas }: Where, { setSeriesUid, setIndex, setWindow, setPlace }: Moves): { left: number; top: number } | undefined {
  const [cursor, setCursor] = useState<{ left: number; top: number }>();
  useEffect(() => {
    if (!lead) return setCursor(undefined);
    if (lead.series !== seriesUid) return setSeriesUid(lead.series);
    const at = stack?.slices.findIndex((slice) => slice.uid === lead.slice) ?? -1;
    if (at < 0) return;
    const box = pictureBox(stage.current, canvas.current);
    const moved = { x: lead.x * box.width, y: lead.y * box.height };
    setIndex(at);
    setWindow({ center: lead.center, width: lead.width });
    setPlace({ zoom: lead.zoom, ...moved });
    const from = (middle: number, size: number, part: number, by: number) => middle / 2 + by + (part - 0.5) * size * lead.zoom;
    setCursor(lead.atX === undefined || lead.atY === undefined ? undefined : {
      left: from(stage.current?.clientWidth ?? 0, box.width, lead.atX, moved.x),
      top: from(stage.current?.clientHeight ?? 0, box.height, lead.atY, moved.y),
    });
  }, [lead, stack, seriesUid, stage, canvas, setSeriesUid, setIndex, setWindow, setPlace]);
  return cursor;
}
