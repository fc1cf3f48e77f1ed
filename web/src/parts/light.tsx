// What the first page is made of: it must come over a weak line before the kit of the other pages does, and looks like it.
import type { ButtonHTMLAttributes, ReactNode } from 'react';

interface LightButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  kind?: 'default' | 'primary' | 'text';
  size?: 'small' | 'middle' | 'large';
  icon?: ReactNode;
  /** It was pressed and the server has not answered yet. */
  busy?: boolean;
}

export function LightButton({ kind = 'default', size = 'middle', icon, busy = false, className = '', type = 'button', disabled, children, ...rest }: LightButtonProps) {
  return (
    <button type={type} className={`lb lb-${kind} lb-${size} ${className}`} disabled={disabled === true || busy} aria-busy={busy || undefined} {...rest}>
      {busy ? <span className="spinner" aria-hidden /> : icon}
      {children === undefined ? null : <span>{children}</span>}
    </button>
  );
}

interface SegmentsProps<K extends string> { value: K | undefined; options: { value: K; label: ReactNode }[]; onChange: (value: K) => void; label: string; className?: string }

/** One of few, all in sight: radio buttons, so that the arrow keys are the browser's. */
export function Segments<K extends string>({ value, options, onChange, label, className = '' }: SegmentsProps<K>) {
  return (
    <div className={`segments ${className}`} role="radiogroup" aria-label={label}>
      {options.map((option) => (
        <label key={option.value} className={option.value === value ? 'segment segment-on' : 'segment'}>
          <input type="radio" className="visually-hidden" name={label} value={option.value} checked={option.value === value} onChange={() => onChange(option.value)} />
          {option.label}
        </label>
      ))}
    </div>
  );
}

export function Notice({ tone, title, children, action }: { tone: 'error' | 'info'; title: ReactNode; children?: ReactNode; action?: ReactNode }) {
  return (
    <div className={`notice notice-${tone}`} role="alert">
      <div className="notice-text">
        <strong>{title}</strong>
        {children ? <div>{children}</div> : null}
      </div>
      {action}
    </div>
  );
}
