// Mouse, pen and finger on the picture: wheel = slices, drag = slices or window or move, two fingers = zoom.
import { useEffect, useRef, type RefObject } from 'react';

export type Tool = 'scroll' | 'window' | 'move';

export interface GestureHandlers {
  step: (slices: number) => void;
  window: (dx: number, dy: number) => void;
  move: (dx: number, dy: number) => void;
  zoom: (factor: number) => void;
}

const PIXELS_A_SLICE = 8;
const WHEEL_A_SLICE = 60;
const RIGHT_BUTTON = 2;
const MIDDLE_BUTTON = 4;

export function useGestures(stage: RefObject<HTMLElement | null>, tool: Tool, handlers: GestureHandlers): void {
  const latest = useRef({ tool, handlers });
  useEffect(() => {
    latest.current = { tool, handlers };
  });

  useEffect(() => {
    const element = stage.current;
    if (!element) return;
    const pointers = new Map<number, { x: number; y: number }>();
    let carried = 0;
    let wheel = 0;

    const toolFor = (event: PointerEvent): Tool =>
      event.buttons & RIGHT_BUTTON ? 'window' : event.buttons & MIDDLE_BUTTON ? 'move' : latest.current.tool;

    const down = (event: PointerEvent) => {
      pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      element.setPointerCapture(event.pointerId);
      carried = 0;
    };
    const pinch = (event: PointerEvent, before: { x: number; y: number }) => {
      const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
      if (!other) return;
      const distance = (x: number, y: number) => Math.hypot(x - other.x, y - other.y);
      const old = distance(before.x, before.y);
      if (old > 10) latest.current.handlers.zoom(distance(event.clientX, event.clientY) / old);
    };
    const moved = (event: PointerEvent) => {
      const before = pointers.get(event.pointerId);
      if (!before) return;
      pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      if (pointers.size > 1) return pinch(event, before);
      const dx = event.clientX - before.x;
      const dy = event.clientY - before.y;
      const now = toolFor(event);
      if (now === 'window') return latest.current.handlers.window(dx, dy);
      if (now === 'move') return latest.current.handlers.move(dx, dy);
      carried += dy;
      const steps = Math.trunc(carried / PIXELS_A_SLICE);
      if (steps !== 0) {
        carried -= steps * PIXELS_A_SLICE;
        latest.current.handlers.step(steps);
      }
    };
    const up = (event: PointerEvent) => pointers.delete(event.pointerId);
    const turned = (event: WheelEvent) => {
      event.preventDefault();
      if (event.ctrlKey) return latest.current.handlers.zoom(event.deltaY < 0 ? 1.12 : 1 / 1.12);
      wheel += event.deltaMode === 0 ? event.deltaY : event.deltaY * WHEEL_A_SLICE;
      const steps = Math.trunc(wheel / WHEEL_A_SLICE);
      if (steps !== 0) {
        wheel -= steps * WHEEL_A_SLICE;
        latest.current.handlers.step(steps);
      }
    };
    const noMenu = (event: Event) => event.preventDefault();

    element.addEventListener('pointerdown', down);
    element.addEventListener('pointermove', moved);
    element.addEventListener('pointerup', up);
    element.addEventListener('pointercancel', up);
    element.addEventListener('wheel', turned, { passive: false });
    element.addEventListener('contextmenu', noMenu);
    return () => {
      element.removeEventListener('pointerdown', down);
      element.removeEventListener('pointermove', moved);
      element.removeEventListener('pointerup', up);
      element.removeEventListener('pointercancel', up);
      element.removeEventListener('wheel', turned);
      element.removeEventListener('contextmenu', noMenu);
    };
  }, [stage]);
}
