package portal

// maxUserCode is how much of a typed user code comes back, in bytes.
const maxUserCode = 64

// DevicePage asks for the code that a device shows (RFC 8628 section 3.3); the
// form goes to /device with user_code. Faults: FaultWrongCode, FaultThrottled.
type DevicePage struct {
	Base
	UserCode string // what was typed, or stood in the address
}

func (*DevicePage) frame() frame { return frame{file: "device"} }

// Focus overrides that of Base.
func (*DevicePage) Focus() string { return "user_code" }

// DeviceConsentPage asks whether the application on a device may know who the
// person is; the form goes to /device with user_code and decision=allow or
// deny.
type DeviceConsentPage struct {
	Base
	Asker    *Asker
	UserName string
	UserCode string // as the device shows it, to be compared
	Shares   []Share
}

func (*DeviceConsentPage) frame() frame { return frame{file: "device_consent"} }

// DeviceDonePage sends the person back to the device.
type DeviceDonePage struct {
	Base
	Asker   *Asker
	Allowed bool
}

func (*DeviceDonePage) frame() frame { return frame{file: "device_done"} }
