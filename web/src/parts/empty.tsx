// An empty place says what would stand here and what to do now.
import { InboxOutlined } from '@ant-design/icons';
import type { ReactNode } from 'react';

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
