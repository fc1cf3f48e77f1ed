// What the keys do, on "?".
import { Modal } from 'antd';
import { useTranslation } from '../i18n';

const GROUPS: { key: string; keys: [string, string][] }[] = [
  { key: 'list', keys: [['j / k', 'move'], ['Enter', 'open'], ['/', 'search'], ['Esc', 'close'], ['?', 'help']] },
  { key: 'viewer', keys: [['↑ ↓', 'slice'], ['PgUp PgDn', 'page'], ['Home End', 'ends'], ['1 – 6', 'window'], ['+ − 0', 'zoom'], ['o', 'overlay']] },
];

export function KeysHelp({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <Modal open={open} onCancel={onClose} footer={null} title={t('keys.title')} width={420}>
      {GROUPS.map((group) => (
        <section key={group.key}>
          <h3 className="keys-group">{t(`keys.${group.key}.title`)}</h3>
          <dl className="keys-list">
            {group.keys.map(([key, what]) => (
              <div key={key}><dt><kbd>{key}</kbd></dt><dd>{t(`keys.${group.key}.${what}`)}</dd></div>
            ))}
          </dl>
        </section>
      ))}
    </Modal>
  );
}
