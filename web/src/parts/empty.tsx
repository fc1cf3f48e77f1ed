// An empty place says what would stand here and what to do now.
import type { ReactNode } from 'react';
import { InboxOutlined } from './icons';

export function Empty({ title, help, action }: { title: string; help?: string; action?: ReactNode }) {
  return (
    <div className="empty">
      <InboxOutlined aria-hidden className="empty-icon" />
      <p className="empty-title">{title}</p>
      {help ? <p className="empty-help">{help}</p> : null}
      {action}
    </div>
  );
}
