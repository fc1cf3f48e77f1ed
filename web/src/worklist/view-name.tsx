import { Input, Modal } from 'antd';
import { useState } from 'react';
import { useTranslation } from '../i18n';

interface ViewNameProps { suggested: string; saving: boolean; onSave: (name: string) => void; onClose: () => void }

export function ViewName({ suggested, saving, onSave, onClose }: ViewNameProps) {
  const { t } = useTranslation();
  const [typed, setTyped] = useState(suggested);
  const name = typed.trim();
  const save = () => {
    if (name) onSave(name);
  };
  return (
    <Modal open title={t('views.save')} okText={t('views.saveDo')} okButtonProps={{ disabled: !name }} confirmLoading={saving} onOk={save} onCancel={onClose}>
      <label className="field">
        <span className="field-label">{t('views.name')}</span>
        <Input value={typed} maxLength={20} data-field="view-name" onChange={(event) => setTyped(event.target.value)} onPressEnter={save} />
      </label>
      <p className="hint">{t('views.help')}</p>
    </Modal>
  );
}
