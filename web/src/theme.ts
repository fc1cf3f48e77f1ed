// Colours and sizes. Every pair of text and ground here holds 4.5:1; the stock orange and green tags do not.
import type { ThemeConfig } from 'antd';

export const palette = {
  ink: '#12262c',
  muted: '#52666d',
  line: '#dde5e7',
  ground: '#f2f5f6',
  sea: '#0a2e38',
  primary: '#0b6670',
  primarySoft: '#e3f1f1',
  red: '#b3261e',
  redSoft: '#fdecea',
  amber: '#8a4b00',
  amberSoft: '#fff3df',
  green: '#1d6b3a',
  greenSoft: '#e4f4e9',
  blue: '#1d4f91',
  blueSoft: '#e6eefa',
  gray: '#4a5a60',
  graySoft: '#edf1f2',
} as const;

const still = typeof matchMedia === 'function' && matchMedia('(prefers-reduced-motion: reduce)').matches;

export const theme: ThemeConfig = {
  token: {
    motion: !still,
    colorPrimary: palette.primary,
    colorLink: palette.primary,
    colorLinkHover: '#084c54',
    colorInfo: palette.blue,
    colorSuccess: palette.green,
    colorWarning: palette.amber,
    colorError: palette.red,
    colorInfoBg: '#eef4fc', colorInfoBorder: '#c9d9f0',
    colorSuccessBg: '#eef8f1', colorSuccessBorder: '#c2e2cd',
    colorWarningBg: '#fff7e8', colorWarningBorder: '#f1d9ae',
    colorErrorBg: '#fdf1ef', colorErrorBorder: '#f2c7c2',
    colorTextBase: palette.ink,
    colorTextSecondary: palette.muted,
    colorTextTertiary: palette.muted,
    colorTextDescription: palette.muted,
    colorTextPlaceholder: '#66777d',
    colorBorder: '#c3cfd2',
    colorBorderSecondary: palette.line,
    colorBgLayout: palette.ground,
    borderRadius: 6,
    fontSize: 14,
    fontFamily: '"PingFang SC","Microsoft YaHei","Noto Sans CJK SC","Noto Sans SC",sans-serif',
  },
  components: {
    Layout: { headerBg: palette.sea, bodyBg: palette.ground },
    Card: { headerFontSize: 15 },
  },
};
