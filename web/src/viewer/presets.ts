import type { Window } from './slices';

/** Window presets on the keys 1 to 6. */
export const PRESETS: { key: string; window: Window }[] = [
  { key: 'lung', window: { center: -600, width: 1500 } },
  { key: 'mediastinum', window: { center: 40, width: 350 } },
  { key: 'bone', window: { center: 400, width: 1800 } },
  { key: 'abdomen', window: { center: 50, width: 400 } },
  { key: 'groundGlass', window: { center: -700, width: 800 } },
  { key: 'wide', window: { center: 0, width: 2500 } },
];

export const presetOf = (window: Window): string | undefined =>
  PRESETS.find((preset) => preset.window.center === window.center && preset.window.width === window.width)?.key;
