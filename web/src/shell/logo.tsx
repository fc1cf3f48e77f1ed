// Two mountains over a wave.
export function Logo({ size = 28 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 64 64" aria-hidden="true" focusable="false">
      <path d="M6 41 22 17l9 13 7-10 20 21z" fill="#e9f4f3" />
      <path d="M6 49c6.5-5.5 11-5.5 17.5 0s11 5.5 17.5 0 11-5.5 17.5 0" fill="none" stroke="#49c3b4" strokeWidth="4.5" strokeLinecap="round" />
    </svg>
  );
}
