import { CheckOutlined, CloudUploadOutlined, EditOutlined, WarningOutlined } from '@ant-design/icons';
import { isPassing } from '../fhir';
import { formatClock } from '../format';
import { useTranslation } from '../i18n';
import { problemText } from '../parts/problem';
import type { SaveState } from './autosave';

export function SaveNote({ state }: { state: SaveState }) {
  const { t } = useTranslation();
  switch (state.kind) {
    case 'clean':
      return <span className="save-note" />;
    case 'changed':
      return <span className="save-note"><EditOutlined aria-hidden /> {t('save.changed')}</span>;
    case 'saving':
      return <span className="save-note"><CloudUploadOutlined aria-hidden /> {t('save.saving')}</span>;
    case 'saved':
      return <span className="save-note" role="status"><CheckOutlined aria-hidden /> {t('save.saved', { time: formatClock(state.at) })}</span>;
    case 'failed':
      return <span className="save-note text-red" role="alert"><WarningOutlined aria-hidden /> {t(isPassing(state.error) ? 'save.waiting' : 'save.failed', { why: problemText(state.error, t).title })}</span>;
  }
}
